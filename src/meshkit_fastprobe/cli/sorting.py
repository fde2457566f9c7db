"""Orders of rows: by name, or what an operator wants to see first."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from meshkit_fastprobe.cli import words

Item = dict[str, Any]


class ProbeSort(StrEnum):
    name = "name"
    state = "state"
    since = "since"
    p50 = "p50"
    p99 = "p99"
    ok = "ok"
    runs = "runs"
    skipped = "skipped"


class GroupSort(StrEnum):
    name = "name"
    probes = "probes"
    unhealthy = "unhealthy"
    ok = "ok"
    rate = "rate"
    p50 = "p50"
    p99 = "p99"


class HostSort(StrEnum):
    name = "name"
    unhealthy = "unhealthy"
    probes = "probes"


def _slowest(quantile: str) -> Callable[[Item], float]:
    """Timeouts before the slowest, what has no latency last."""

    def key(item: Item) -> float:
        if quantile in item.get("beyondRange", ()):
            return -math.inf
        return -(item.get(f"{quantile}Seconds") or 0.0)

    return key


def _failing(item: Item) -> float:
    ratio = item.get("successRatio")
    return math.inf if ratio is None else float(ratio)


def _sick(item: Item) -> tuple[int, ...]:
    states = item.get("states", {})
    return (-states.get("unhealthy", 0), -states.get("degraded", 0))


_PROBE_KEYS: Final[dict[ProbeSort, Callable[[Item], Any]]] = {
    ProbeSort.name: lambda item: item["name"],
    ProbeSort.state: lambda item: words.SEVERITY[item["state"]],
    ProbeSort.since: lambda item: -words.seconds_of(item["since"]),
    ProbeSort.p50: _slowest("p50"),
    ProbeSort.p99: _slowest("p99"),
    ProbeSort.ok: _failing,
    ProbeSort.runs: lambda item: -sum(item["runs"].values()),
    ProbeSort.skipped: lambda item: -item["skipped"],
}
_GROUP_KEYS: Final[dict[GroupSort, Callable[[Item], Any]]] = {
    GroupSort.probes: lambda item: -item["probes"],
    GroupSort.unhealthy: _sick,
    GroupSort.ok: _failing,
    GroupSort.rate: lambda item: -(item.get("ratePerSecond") or 0.0),
    GroupSort.p50: _slowest("p50"),
    GroupSort.p99: _slowest("p99"),
}
_HOST_KEYS: Final[dict[HostSort, Callable[[Item], Any]]] = {
    HostSort.unhealthy: _sick,
    HostSort.probes: lambda item: -item.get("probes", 0),
}


def sort_probes(items: list[Item], by: ProbeSort) -> list[Item]:
    """Equals keep the order of their hosts and names."""
    return sorted(items, key=_PROBE_KEYS[by])


def sort_groups(items: list[Item], by: GroupSort) -> list[Item]:
    """By name is as the hosts gave them."""
    return items if by is GroupSort.name else sorted(items, key=_GROUP_KEYS[by])


def sort_hosts(rows: list[Item], by: HostSort) -> list[Item]:
    """By name is as they were asked. Hosts without an answer come first in any other order: nothing is worse known."""
    if by is HostSort.name:
        return rows
    return sorted(rows, key=lambda row: ("problem" not in row, _HOST_KEYS[by](row)))
