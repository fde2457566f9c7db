"""The families that are not per probe nor per group: a handful of samples, the same for both renderers."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import accumulate
from typing import Any, Final

import msgspec

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.model import BudgetUse, Reason
from meshkit_fastprobe.telemetry import names
from meshkit_fastprobe.telemetry.names import Metric
from meshkit_fastprobe.telemetry.source import Source
from meshkit_fastprobe.telemetry.usage import Asked, ChaosUse, Requests, Usage

SKIP_REASONS: Final = tuple(reason for reason in Reason if reason >= Reason.OVERLAP and reason is not Reason.DEFERRED)
"""Always shown, also at zero: a rate() needs a first point."""


class Sample(msgspec.Struct, frozen=True):
    name: str
    labels: dict[str, str]
    value: float


def process_families(source: Source) -> Iterator[tuple[Metric, list[Sample]]]:
    totals = source.table.totals()
    yield names.SKIPPED, list(_skipped(totals))
    yield names.DEFERRED, [Sample(names.DEFERRED.name, {}, int(totals["skipped"][Reason.DEFERRED]))]
    yield names.SCHEDULER_LAG, list(histogram_samples(names.SCHEDULER_LAG, {}, totals["lag"], totals["lag_sum_s"]))
    yield names.RING_DROPPED, [Sample(names.RING_DROPPED.name, {}, source.dropped)]
    yield names.SYN_RETRANSMISSIONS, [Sample(names.SYN_RETRANSMISSIONS.name, {}, source.counted("syn_retransmissions"))]
    yield names.STRAY_DATAGRAMS, [Sample(names.STRAY_DATAGRAMS.name, {}, source.counted("stray_datagrams"))]
    yield from _budgets(source.budgets())
    yield from _usage(source.usage)
    yield from _chaos(source.usage.chaos)
    yield names.BUILD, [Sample(names.BUILD.name, _build(), 1)]


def histogram_samples(
    metric: Metric,
    labels: Mapping[str, str],
    counts: Iterable[int],
    sum_s: float,
    edges: Sequence[tuple[str, int]] = names.EDGES,
) -> Iterator[Sample]:
    """Cumulative buckets at the edges, _sum and _count of one row of counters."""
    below = [0, *accumulate(int(count) for count in counts)]
    for le, bucket in edges:
        yield Sample(f"{metric.name}_bucket", {**labels, "le": le}, below[bucket + 1])
    yield Sample(f"{metric.name}_bucket", {**labels, "le": "+Inf"}, below[-1])
    yield Sample(f"{metric.name}_sum", dict(labels), float(sum_s))
    yield Sample(f"{metric.name}_count", dict(labels), below[-1])


def _skipped(totals: Mapping[str, Any]) -> Iterator[Sample]:
    skipped = totals["skipped"]
    others = tuple(reason for reason in Reason if reason < Reason.OVERLAP and skipped[reason])
    for reason in SKIP_REASONS + others:
        yield Sample(names.SKIPPED.name, {"reason": str(reason)}, int(skipped[reason]))


def _budgets(uses: Sequence[BudgetUse]) -> Iterator[tuple[Metric, list[Sample]]]:
    """At most as many groups as are counted apart: a thousand or so."""
    yield names.BUDGET_IN_FLIGHT, [_of(names.BUDGET_IN_FLIGHT, use.in_flight, group=use.group) for use in uses]
    yield names.BUDGET_WAITING, [_of(names.BUDGET_WAITING, use.waiting, group=use.group) for use in uses]
    skipped = []
    for use in uses:
        skipped.append(_of(names.BUDGET_SKIPPED, use.skipped_saturated, group=use.group, reason=str(Reason.SATURATED)))
        skipped.append(_of(names.BUDGET_SKIPPED, use.skipped_budget, group=use.group, reason=str(Reason.BUDGET)))
    yield names.BUDGET_SKIPPED, skipped


def _decisions(decisions: Mapping[tuple[str, bool], int]) -> Iterator[Sample]:
    """Both answers of each permission there is, also at zero: a rate() needs a first point."""
    for permission in Permission:
        for allowed, word in ((True, "allow"), (False, "deny")):
            count = decisions.get((permission, allowed), 0)
            yield _of(names.DECISIONS, count, permission=str(permission), decision=word)


def _usage(usage: Usage) -> Iterator[tuple[Metric, list[Sample]]]:
    yield names.DECISIONS, list(_decisions(usage.decisions))
    audit = usage.audit
    yield names.AUDIT_RECORDS, [_of(names.AUDIT_RECORDS, audit.records)]
    yield names.AUDIT_HEAD, [_of(names.AUDIT_HEAD, audit.head)]
    yield names.AUDIT_LATE, [_of(names.AUDIT_LATE, audit.late)]
    yield names.AUDIT_LOST, [_of(names.AUDIT_LOST, audit.lost)]
    yield names.AUDIT_FAILURES, [_of(names.AUDIT_FAILURES, audit.failures)]
    yield names.AUDIT_COPY_FAILURES, [_of(names.AUDIT_COPY_FAILURES, audit.copy_failures)]
    yield names.HISTORY_BYTES, [_of(names.HISTORY_BYTES, usage.history.bytes)]
    yield names.HISTORY_LOST, [_of(names.HISTORY_LOST, usage.history.lost)]
    yield names.OTLP_FAILURES, [_of(names.OTLP_FAILURES, usage.otlp.failures)]
    yield names.OTLP_LINES_DROPPED, [_of(names.OTLP_LINES_DROPPED, usage.otlp.lines_dropped)]
    yield names.REQUESTS, [_requests(asked, count) for asked, count in usage.requests.counts.items()]
    yield names.REQUEST_DURATION, list(_durations(usage.requests))


def _requests(asked: Asked, count: int) -> Sample:
    labels = {name: str(value) for name, value in msgspec.structs.asdict(asked).items()}
    return Sample(names.REQUESTS.name, labels, count)


def _durations(requests: Requests) -> Iterator[Sample]:
    edges = [(le, place) for place, (le, _) in enumerate(names.EDGES)]
    for route, durations in requests.durations.items():
        yield from histogram_samples(names.REQUEST_DURATION, {"route": route}, durations.counts, durations.sum_s, edges)


def _chaos(chaos: ChaosUse) -> Iterator[tuple[Metric, list[Sample]]]:
    edges = [(le, place) for place, (le, _) in enumerate(names.EDGES)]
    yield (
        names.CHAOS_ACTIVE,
        [_of(names.CHAOS_ACTIVE, on, experiment=key, fault=fault) for (key, fault), on in chaos.active.items()],
    )
    yield (
        names.CHAOS_REVERT_FAILED,
        [_of(names.CHAOS_REVERT_FAILED, 1, experiment=key, fault=fault) for key, fault in sorted(chaos.stuck)],
    )
    yield (
        names.CHAOS_ACTIVATIONS,
        [_of(names.CHAOS_ACTIVATIONS, count, fault=fault, outcome=told) for (fault, told), count in chaos.outcomes.items()],
    )
    recoveries = chaos.recoveries
    yield names.CHAOS_RECOVERY, list(histogram_samples(names.CHAOS_RECOVERY, {}, recoveries.counts, recoveries.sum_s, edges))


def _of(metric: Metric, value: float, **labels: str) -> Sample:
    return Sample(metric.name, labels, value)


@cache
def _build() -> dict[str, str]:
    return {"version": version("meshkit-fastprobe"), "python": platform.python_version()}
