"""A million probes registered, each every hundred seconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import trio

import meshkit_fastprobe as fp
from benchmarks.measure import rss_bytes, starved_share
from meshkit_fastprobe._native.histogram import upper_bounds_s

from .conftest import LONG, Held, addresses, tell

pytestmark = [pytest.mark.hyperscale, pytest.mark.once, pytest.mark.slow, pytest.mark.timeout(3600 if LONG else 300)]

PROBES = 1_000_000
INTERVAL_S = 100.0
SECONDS = 230.0 if LONG else 15.0
"""In a long run each probe has run twice: what a run touches for the first time is touched."""
MOST_KIB_A_PROBE = 1.25
LONGEST_HOLD_S = 0.1 if LONG else 1.0
LATE_S = 0.05
MOST_LATE = 0.001 if LONG else 0.05
STARVED = 0.1
"""With a larger part of its time spent waiting for a processor, the engine is late through no fault of its own."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    kib_a_probe: float
    registered_s: float
    placed_s: float
    longest_hold_s: float
    runs: int
    ok: int
    skipped: int
    late: int
    dropped: int
    starved: float
    broken: str | None


def tcp(address: str) -> fp.Probe:
    return fp.TcpProbe(address)


def http(address: str) -> fp.Probe:
    return fp.HttpProbe(f"http://{address}/healthz")


@pytest.fixture(scope="module", params=[tcp, http] if LONG else [tcp], ids=lambda kind: kind.__name__)
def seen(request: pytest.FixtureRequest, port: int) -> Seen:
    found = trio.run(_run, port, request.param)
    gc.collect()
    return found


async def _run(port: int, kind: Callable[[str], fp.Probe]) -> Seen:
    gc.collect()
    empty_bytes = rss_bytes()
    diag = fp.Diagnostics(fp.Settings(host="scale", max_probes=PROBES, first_run_window_s=INTERVAL_S))
    began = time.perf_counter()
    diag.add_many((kind(address) for address in addresses(PROBES, port)), interval=INTERVAL_S, timeout="2s", namespace="edge")
    registered_s = time.perf_counter() - began
    async with diag:
        entered = time.perf_counter()
        async with trio.open_nursery() as nursery:
            held = Held()
            nursery.start_soon(held.watch)
            while diag.engine_stats()["slots"] < PROBES:
                await trio.sleep(0.1)
            placed_s = time.perf_counter() - entered
            await trio.sleep(SECONDS)
            nursery.cancel_scope.cancel()
        totals = diag.table.totals()
        found = Seen(
            kib_a_probe=(rss_bytes() - empty_bytes) / PROBES / 1024,
            registered_s=registered_s,
            placed_s=placed_s,
            longest_hold_s=held.longest_s,
            runs=int(totals["runs"].sum()),
            ok=int(totals["runs"][0]),
            skipped=int(totals["skipped"].sum()),
            late=int(totals["lag"][upper_bounds_s() > LATE_S].sum()),
            dropped=diag.dropped,
            starved=starved_share(),
            broken=diag.table.check(),
        )
    late = (found.late + found.skipped) / max(1, found.runs)
    tell(
        f"1,000,000 {kind.__name__} probes every 100 s for {SECONDS:.0f} s: {found.runs:,} runs, late or skipped {late:.4%}, "
        f"starved {found.starved:.1%}"
    )
    tell(
        f"  {found.kib_a_probe:.3f} KiB a probe; registered in {found.registered_s:.1f} s, known to the engine "
        f"{found.placed_s:.1f} s after entering; the event loop was held for {found.longest_hold_s * 1000:.0f} ms at most"
    )
    return found


def test_every_target_answers(seen: Seen) -> None:
    assert seen.ok == seen.runs
    assert seen.runs > 0


def test_a_probe_costs_no_more_memory_than_promised(seen: Seen) -> None:
    assert seen.kib_a_probe <= MOST_KIB_A_PROBE


def test_few_are_late(seen: Seen) -> None:
    assert seen.starved > STARVED or seen.late + seen.skipped < MOST_LATE * seen.runs


def test_no_record_is_lost(seen: Seen) -> None:
    assert seen.dropped == 0


def test_placing_them_leaves_the_event_loop_to_others(seen: Seen) -> None:
    assert seen.starved > STARVED or seen.longest_hold_s < LONGEST_HOLD_S


def test_the_table_is_whole(seen: Seen) -> None:
    assert seen.broken is None
