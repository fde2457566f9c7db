"""Network checks: the addresses everybody probes, the pace everybody keeps, the figures everybody returns.

The workload of native_tcp and native_http: `targets` addresses of 127/8, each checked every `interval_s`, for `seconds`, after
`warmup_s` that is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.measure import Meter, percentile

WORKERS = 64
"""Checks in flight at most, for contenders that have no bound of their own."""


def addresses(workload: dict[str, Any]) -> list[str]:
    """One loopback address a target, as different hosts would have: also spreads ephemeral ports over many 4-tuples."""
    return [f"127.{1 + (i >> 16)}.{(i >> 8) & 255}.{i & 255}" for i in range(1, workload["targets"] + 1)]


def figures(workload: dict[str, Any], meter: Meter, checks: int, failed: int, latencies_s: list[float]) -> dict[str, Any]:
    """What every contender returns. delivered: checks done of those the pace asked for."""
    wanted = workload["targets"] / workload["interval_s"] * workload["seconds"]
    return {
        "cpu_us_per_check": meter.cpu_s / checks * 1e6,
        "delivered": checks / wanted,
        "core": meter.cpu_s / meter.wall_s,
        "failed": failed,
        **({f"p{share}_ms": percentile(latencies_s, share / 100) * 1e3 for share in (50, 99)} if latencies_s else {}),
    }


def turns(worker: int, n: int, interval_s: float) -> Iterator[tuple[float, int]]:
    """This worker's checks as (seconds since the start, target): targets evenly over the interval, shared out round robin."""
    at = worker
    while True:
        yield at * interval_s / n, at % n
        at += WORKERS
