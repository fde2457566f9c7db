"""How the endpoints are used: requests by route, protocol and status, how long they took, and what was decided and recorded."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

BOUNDS_S: Final = tuple(2.0**power for power in range(-12, 7, 2))
"""Those of every histogram here (names.EDGES)."""
OTHER: Final = "other"
"""The route of requests for a path that there is not: readers choose paths, so they are no label."""


class Asked(msgspec.Struct, frozen=True):
    """What requests are counted by. protocol: "1.1", "2", "3" or "grpc"."""

    route: str
    method: str
    protocol: str
    status: int


class Durations:
    """Of the requests of one route: counts between the bounds, the last above all of them, and their sum."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def take(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class Requests:
    """Counted since the host was made."""

    def __init__(self) -> None:
        self.counts: Counter[Asked] = Counter()
        self.durations: dict[str, Durations] = {}

    def take(self, asked: Asked, seconds: float) -> None:
        self.counts[asked] += 1
        self.durations.setdefault(asked.route, Durations()).take(seconds)


class AuditUse(msgspec.Struct, frozen=True):
    """How the audit fares: written, late (a gauge), lost, batches that the disk refused, times that a copy took nothing.

    head: the number of the last record there is.
    """

    records: int = 0
    late: int = 0
    lost: int = 0
    failures: int = 0
    copy_failures: int = 0
    head: int = 0


class HistoryUse(msgspec.Struct, frozen=True):
    """How the history fares. bytes: of what the file holds. lost: minutes that it did not take. problem: "" while none."""

    bytes: int = 0
    spans: int = 0
    lost: int = 0
    changes_lost: int = 0
    problem: str = ""


class OtlpUse(msgspec.Struct, frozen=True):
    """Exports to OpenTelemetry since the start: requests that were taken, those that were not, lines that found no place."""

    exports: int = 0
    failures: int = 0
    lines_dropped: int = 0


class ChaosUse(msgspec.Struct, frozen=True):
    """Experiments since the start. active and stuck by (experiment, fault); outcomes by (fault, outcome)."""

    active: Mapping[tuple[str, str], bool] = {}
    stuck: frozenset[tuple[str, str]] = frozenset()
    outcomes: Mapping[tuple[str, str], int] = {}
    recoveries: Durations = msgspec.field(default_factory=Durations)


class Usage(msgspec.Struct, frozen=True):
    """decisions: how often each permission was given (True) and refused (False)."""

    decisions: Mapping[tuple[str, bool], int]
    audit: AuditUse
    requests: Requests
    chaos: ChaosUse = msgspec.field(default_factory=ChaosUse)
    history: HistoryUse = HistoryUse()
    otlp: OtlpUse = OtlpUse()
