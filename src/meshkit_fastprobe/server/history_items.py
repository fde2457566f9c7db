"""What readers see of the past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from meshkit_fastprobe.aggregation.columns import RESULT_NAMES
from meshkit_fastprobe.aggregation.groups import STATE_NAMES
from meshkit_fastprobe.history.reading import GroupStep, Offender, ProbeStep
from meshkit_fastprobe.history.store import Change
from meshkit_fastprobe.model import Reason, Result, State
from meshkit_fastprobe.server.envelope import rfc3339
from meshkit_fastprobe.server.reports import Body

TAG_NAMES: Final[tuple[str, ...]] = ("cluster", "namespace", "kind")
_PASSED = (Result.OK, Result.DEGRADED)


class GapItem(Body):
    """Nobody watched."""

    start: str
    end: str


class UpkeepItem(Body):
    reason: str
    start: str
    end: str
    name: str | None = None
    cluster: str | None = None
    namespace: str | None = None


class HistoryItem(Body):
    """What is kept, of a stretch of time that was asked about, and how the keeping fares."""

    enabled: bool
    start: str
    end: str
    covered_seconds: float = 0.0
    gaps: list[GapItem] = msgspec.field(default_factory=list)
    """Within the stretch; the newest thousand."""
    maintenance: list[UpkeepItem] = msgspec.field(default_factory=list)
    """Windows that were open within the stretch, by the configuration of now."""
    oldest: str | None = None
    keep_seconds: float = 0.0
    bytes: int = 0
    max_bytes: int = 0
    lost: int = 0
    """Minutes that the file did not take, since the start."""
    changes_lost: int = 0
    """Changes of state that were counted but not kept one by one, since the start."""
    problem: str = ""


class PastItem(Body):
    """A group in a step of time. states and probes are of its end; state_seconds sums up over the probes."""

    start: str
    tags: dict[str, str]
    covered_seconds: float
    probes: int
    states: dict[str, int]
    runs: int
    results: dict[str, int]
    state_seconds: dict[str, float]
    transitions: int
    success_ratio: float | None = None
    p50_seconds: float | None = None
    p90_seconds: float | None = None
    p99_seconds: float | None = None
    beyond_range: list[str] = msgspec.field(default_factory=list)


class StepItem(Body):
    """A probe in a step of time. Quantiles come with steps of 15m, and at rest there are none."""

    start: str
    state: str
    runs: int
    results: dict[str, int]
    state_seconds: dict[str, float]
    transitions: int
    success_ratio: float | None = None
    p50_seconds: float | None = None
    p90_seconds: float | None = None
    p99_seconds: float | None = None
    beyond_range: list[str] = msgspec.field(default_factory=list)


class ChangeItem(Body):
    at: str
    before: str
    after: str
    reason: str | None = None


class ProbePastItem(Body):
    name: str
    start: str
    end: str
    step_seconds: float
    steps: list[StepItem]
    changes: list[ChangeItem]
    """The newest thousand of the stretch, oldest first."""


class OffenderItem(Body):
    name: str
    tags: dict[str, str]
    runs: int
    results: dict[str, int]
    state_seconds: dict[str, float]
    transitions: int
    success_ratio: float | None = None


def past_item(step: GroupStep, by: Sequence[str]) -> PastItem:
    span = step.span
    numbers, beyond = quantiles_of(step.quantiles)
    return PastItem(
        start=rfc3339(step.start),
        tags=dict(zip(by, step.tags, strict=True)),
        covered_seconds=span.covered_ms / 1000,
        probes=span.probes,
        states=dict(zip(STATE_NAMES, span.states, strict=True)),
        transitions=span.transitions,
        beyond_range=beyond,
        **_sums(span.runs, span.state_ms),
        **numbers,
    )


def probe_item(
    name: str, stretch: tuple[int, int, float], steps: Sequence[ProbeStep], changes: Sequence[Change]
) -> ProbePastItem:
    """stretch: start, end and step."""
    return ProbePastItem(
        name=name,
        start=rfc3339(stretch[0]),
        end=rfc3339(stretch[1]),
        step_seconds=stretch[2],
        steps=[_step_item(step) for step in steps],
        changes=[_change_item(change) for change in changes],
    )


def offender_item(offender: Offender) -> OffenderItem:
    return OffenderItem(
        name=offender.name,
        tags=dict(zip(TAG_NAMES, offender.tags, strict=True)),
        transitions=offender.transitions,
        **_sums(offender.runs, offender.state_ms),
    )


def _step_item(step: ProbeStep) -> StepItem:
    numbers, beyond = quantiles_of(step.quantiles or (math.nan,) * 3)
    return StepItem(
        start=rfc3339(step.start),
        state=State(step.state).name.lower(),
        transitions=step.transitions,
        beyond_range=beyond,
        **_sums(step.runs, step.state_ms),
        **numbers,
    )


def _change_item(change: Change) -> ChangeItem:
    reason = Reason(change.reason)
    return ChangeItem(
        at=rfc3339(change.at_ms / 1000),
        before=State(change.before).name.lower(),
        after=State(change.after).name.lower(),
        reason=None if reason is Reason.NONE else str(reason),
    )


def _sums(runs: Sequence[int], state_ms: Sequence[int]) -> dict[str, Any]:
    total = sum(runs)
    return {
        "runs": total,
        "results": dict(zip(RESULT_NAMES, runs, strict=True)),
        "state_seconds": {name: ms / 1000 for name, ms in zip(STATE_NAMES, state_ms, strict=True) if ms},
        "success_ratio": sum(runs[result] for result in _PASSED) / total if total else None,
    }


def quantiles_of(values: Sequence[float]) -> tuple[dict[str, Any], list[str]]:
    """By the fields' names, those that have a number; and the names of those beyond the histogram."""
    named = dict(zip(("p50", "p90", "p99"), values, strict=True))
    return {f"{name}_seconds": value for name, value in named.items() if math.isfinite(value)}, [
        name for name, value in named.items() if math.isinf(value)
    ]
