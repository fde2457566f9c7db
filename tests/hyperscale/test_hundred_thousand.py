"""A hundred thousand TCP probes, each every ten seconds: ten thousand checks a second on one host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

import meshkit_fastprobe as fp
from benchmarks.measure import descriptors, rss_bytes, starved_share, time_waits
from meshkit_fastprobe._native.histogram import upper_bounds_s
from meshkit_fastprobe.scheduling.pacing import NEVER, runs_due

from .conftest import LONG, addresses, tell

pytestmark = [pytest.mark.hyperscale, pytest.mark.once, pytest.mark.slow, pytest.mark.timeout(3600 if LONG else 300)]

PROBES = 100_000
INTERVAL_S = 10.0
SECONDS = 600.0 if LONG else 32.0
SETTLED_S = 2 * INTERVAL_S
"""By then every probe has run, and every page that a probe needs is touched."""
LATE_S = 0.05
MOST_LATE = 0.001 if LONG else 0.05
STARVED = 0.1
"""With a larger part of its time spent waiting for a processor, the engine is late through no fault of its own."""
MOST_GROWTH_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one run of the whole came to."""

    due_ns: NDArray[np.int64]
    started_ns: NDArray[np.int64]
    expected: int
    missed: int
    doubled: int
    runs: int
    ok: int
    skipped: int
    dropped: int
    starved: float
    late: int
    growth_bytes: int
    opened: int
    budget: int
    descriptors: int
    time_waits: int


@pytest.fixture(scope="module")
def seen(port: int) -> Seen:
    return trio.run(_run, port)


async def _run(port: int) -> Seen:
    before = descriptors()
    diag = fp.Diagnostics(fp.Settings(host="scale", max_probes=PROBES))
    diag.add_many((fp.TcpProbe(address) for address in addresses(PROBES, port)), interval=INTERVAL_S, timeout="2s")
    async with diag:
        await trio.sleep(SETTLED_S)
        settled_bytes = rss_bytes()
        await trio.sleep(SECONDS - SETTLED_S)
        stop_ns = diag.now_ns()
        await trio.sleep(1)  # what was due has come to its record
        totals, stats, budget = diag.table.totals(), diag.engine_stats(), diag.descriptors
        assert budget is not None
        due_ns = np.array([one.due_ns for one in diag.catalog])
        runs = diag.table.column("runs")[:PROBES].sum(axis=1, dtype=np.int64) + diag.table.column("skipped")[:PROBES]
        found = Seen(
            due_ns=due_ns,
            started_ns=diag.table.column("last_started_ns")[:PROBES].astype(np.int64),
            expected=int(_due(due_ns, diag.started_ns, stop_ns).sum()),
            missed=int(np.maximum(0, _due(due_ns, diag.started_ns, stop_ns) - runs).sum()),
            doubled=int(np.maximum(0, runs - _due(due_ns, diag.started_ns, diag.now_ns())).sum()),
            runs=int(totals["runs"].sum()),
            ok=int(totals["runs"][0]),
            skipped=int(totals["skipped"].sum()),
            dropped=diag.dropped,
            starved=starved_share(),
            late=int(totals["lag"][upper_bounds_s() > LATE_S].sum()),
            growth_bytes=rss_bytes() - settled_bytes,
            opened=stats["connections_opened"],
            budget=budget.connections,
            descriptors=descriptors() - before,
            time_waits=time_waits(port),
        )
        tell(f"100,000 probes every 10 s for {SECONDS:.0f} s: {found.runs:,} runs, starved {found.starved:.1%}, {budget}")
        tell(
            f"  missed or late by more than 50 ms: {_late_share(found):.4%}; lag p50 {_lag(diag, 'p50')}, "
            f"p99 {_lag(diag, 'p99')}; sockets opened {found.opened:,}, "
            f"TIME_WAIT left {found.time_waits}; growth {found.growth_bytes / 1024:,.0f} KiB"
        )
    return found


def _due(due_ns: NDArray[np.int64], start_ns: int, stop_ns: int) -> NDArray[np.int64]:
    """Of each probe: the runs that fall due in that time."""
    interval_ns = int(INTERVAL_S * 1e9)
    return np.array([runs_due(due, NEVER, interval_ns, start_ns, stop_ns) for due in due_ns.tolist()])


def _lag(diag: fp.Diagnostics, quantile: str) -> str:
    return f"{getattr(diag.snapshot().totals, f'lag_{quantile}_s') * 1000:.2f} ms"


def _late_share(seen: Seen) -> float:
    return (seen.late + seen.skipped + seen.missed) / seen.expected


def test_every_target_answers(seen: Seen) -> None:
    assert seen.ok == seen.runs


def test_no_run_is_lost_without_a_word(seen: Seen) -> None:
    assert seen.missed == 0


def test_no_probe_is_doubled(seen: Seen) -> None:
    assert seen.doubled == 0


def test_few_are_missed_or_late(seen: Seen) -> None:
    assert seen.starved > STARVED or _late_share(seen) < MOST_LATE


def test_no_record_is_lost(seen: Seen) -> None:
    assert seen.dropped == 0


def test_phases_are_even_as_a_ruler(seen: Seen) -> None:
    per_10_ms = np.bincount(seen.due_ns % int(INTERVAL_S * 1e9) // 10_000_000, minlength=1000)
    assert per_10_ms.min() >= 99
    assert per_10_ms.max() <= 101


def test_nothing_drifts(seen: Seen) -> None:
    behind_ns = (seen.started_ns - seen.due_ns) % int(INTERVAL_S * 1e9)
    assert np.quantile(behind_ns, 0.1) < 5e6  # drift would move all of them; a busy machine moves many


def test_memory_does_not_grow_once_every_probe_has_run(seen: Seen) -> None:
    assert seen.growth_bytes < MOST_GROWTH_BYTES


def test_descriptors_stay_within_the_budget(seen: Seen) -> None:
    assert seen.descriptors <= seen.budget + 16


def test_checks_leave_no_port_behind(seen: Seen) -> None:
    assert seen.time_waits < seen.runs / 1000
