"""`fastprobe demo`: real loopback targets in a process of their own, thousands of probes on them, endpoints, a live table."""

from __future__ import annotations

import logging
import math
import os
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
import trio

from meshkit_fastprobe import __version__
from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.cli import demo_world
from meshkit_fastprobe.cli.demo_world import EXPECTED, Wanted
from meshkit_fastprobe.cli.interrupts import stoppable
from meshkit_fastprobe.cli.live import LiveView
from meshkit_fastprobe.cli.output import Form
from meshkit_fastprobe.cli.target_process import targets_running
from meshkit_fastprobe.model import Outcome, ServerSettings, Settings, State
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.probes.dns import DnsProbe
from meshkit_fastprobe.probes.http import HttpProbe
from meshkit_fastprobe.probes.tcp import TcpProbe
from meshkit_fastprobe.runtime import Diagnostics
from meshkit_fastprobe.scheduling.pacing import NEVER, runs_due

START_TIMEOUT_S: Final = 20.0
CALLABLES: Final = 20
"""Python callables among the probes: half async, half on worker threads."""


class Summary(msgspec.Struct, rename="camel"):
    """What a demo that ended says of itself."""

    version: str
    probes: int
    targets: int
    seconds: float
    runs: int
    expected_runs: int
    skipped: int
    dropped: int
    states: dict[str, int]
    results: dict[str, int]
    reasons: dict[str, int]
    roles: dict[str, dict[str, int]]
    unexpected: int
    """Probes that have run and are in a state their target's role does not explain."""
    lag_ms: dict[str, float]
    cpu_seconds: float
    rss_bytes: int


class Options(msgspec.Struct):
    probes: int
    targets: int
    seconds: float | None
    listen: str
    state_dir: Path
    form: Form
    seed: int


async def demo(options: Options) -> Summary:
    """Run until the time is over or Ctrl-C; the summary."""
    logging.getLogger("meshkit_fastprobe").addHandler(
        logging.NullHandler()
    )  # its world fails on purpose: the view tells, not the log
    with targets_running(demo_world.targets_wanted(options.targets)) as opened:
        diag = Diagnostics(
            Settings(
                host="demo",
                cluster="local",
                state_dir=str(options.state_dir),
                server=ServerSettings(listen=options.listen),
            )
        )
        roles = _register(diag, demo_world.probes_wanted(max(0, options.probes - CALLABLES), opened, options.seed))
        roles |= _register_callables(diag, min(CALLABLES, options.probes))
        return await _watch(diag, roles, len(opened), options)


async def _watch(diag: Diagnostics, roles: dict[str, str], targets: int, options: Options) -> Summary:
    cpu_before = _cpu_seconds()
    async with diag:
        started = time.monotonic()
        view = LiveView(diag, options.seconds, quiet=options.form is Form.json)
        with stoppable(options.seconds):
            await view.run()
        snapshot, stopped_ns = diag.snapshot(), diag.now_ns()
        seconds = time.monotonic() - started
        expected = _expected_runs(list(diag.catalog), diag.started_ns, stopped_ns)
    return _summary(snapshot, roles, targets, seconds, expected, _cpu_seconds() - cpu_before)


def _register(diag: Diagnostics, wanted: list[Wanted]) -> dict[str, str]:
    """Register all; the role of each name."""
    roles: dict[str, str] = {}
    for number, group in enumerate(wanted):
        for index in range(group.count):
            address = group.targets[(index + number) % len(group.targets)]
            name = f"{group.role}-{group.kind}-{number:03}-{index:04}"
            diag.add(probe_of(group.kind, address), name=name, **group.options)
            roles[name] = group.role
    return roles


def probe_of(kind: str, address: str) -> TcpProbe | HttpProbe | DnsProbe:
    """One that its target lets pass."""
    match kind:
        case "tcp":
            return TcpProbe(address)
        case "http":
            return HttpProbe(f"http://{address}/healthz")
        case _:
            return DnsProbe(address, query_name="demo.test")


def _register_callables(diag: Diagnostics, n: int) -> dict[str, str]:
    async def loop_turns() -> None:
        await trio.sleep(0.001)

    def disk() -> Outcome:
        found = os.statvfs("/")
        return Outcome.ok(f"{100 * found.f_bavail / max(1, found.f_blocks):.0f}% free")

    names = [f"healthy-callable-{number:03}" for number in range(n)]
    for number, name in enumerate(names):
        diag.add(
            disk if number % 2 else loop_turns,
            name=name,
            namespace="host",
            interval=5.0,
            timeout=1.0,
            labels={"role": "healthy"},
        )
    return dict.fromkeys(names, "healthy")


def _expected_runs(registrations: list[Registration], start_ns: int, stop_ns: int) -> int:
    """What a perfect scheduler would have started. No interval is longer than the first-run window: no extra runs."""
    return sum(
        runs_due(one.due_ns, NEVER, round(one.options.interval_s * 1000) * 1_000_000, start_ns, stop_ns)
        for one in registrations
    )


def _summary(
    snapshot: Snapshot, roles: dict[str, str], targets: int, seconds: float, expected: int, cpu_seconds: float
) -> Summary:
    totals = snapshot.totals
    by_role: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    unexpected = 0
    for row, name in enumerate(snapshot.names):
        view = snapshot.view(row)
        state = view.state.name.lower()
        role = roles.get(name, "healthy")
        by_role.setdefault(role, Counter())[state] += 1
        if view.state is not State.UNKNOWN and state not in EXPECTED[role]:
            unexpected += 1
        if view.reason:
            reasons[str(view.reason)] += 1
    return Summary(
        version=__version__,
        probes=totals.probes,
        targets=targets,
        seconds=round(seconds, 3),
        runs=totals.runs,
        expected_runs=expected,
        skipped=totals.skipped,
        dropped=totals.dropped,
        states=totals.states,
        results={
            "ok": totals.ok,
            "degraded": totals.degraded,
            "fail": totals.fail,
            "timeout": totals.timeout,
            "error": totals.error,
        },
        reasons=dict(sorted(reasons.items())),
        roles={role: dict(sorted(states.items())) for role, states in sorted(by_role.items())},
        unexpected=unexpected,
        lag_ms={
            "p50": _milliseconds(totals.lag_p50_s),
            "p99": _milliseconds(totals.lag_p99_s),
            "max": _milliseconds(totals.lag_max_s),
        },
        cpu_seconds=round(cpu_seconds, 3),
        rss_bytes=_rss_bytes(),
    )


def _milliseconds(seconds: float | None) -> float:
    return 0.0 if seconds is None or math.isnan(seconds) else round(seconds * 1000, 3)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _rss_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
