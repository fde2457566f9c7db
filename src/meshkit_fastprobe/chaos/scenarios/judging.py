"""What was seen, beside what was asked for: objectives and requirements. Values in, values out.

Percentiles and shares of a stretch of time come from what was counted between its two ends, so that nothing is lost between two
looks; the share that is up is of moments, and its lowest is what was seen at the looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from meshkit_fastprobe.aggregation.maintenance import is_within
from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.scenarios import MEASURED, QUANTILES, Metric, Objective, Requirements

MIN_SEEN: Final = 0.5
"""Share of the probes that must have something recent to say, as for the steady state of an experiment."""
BUCKET: Final = 1 - 2**-0.25
"""A percentile is the upper bound of a bucket, which is at most a quarter of an octave wide."""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Of some probes: states now, and what has been counted since the host started. buckets: runs by upper bound in seconds."""

    states: Mapping[str, int]
    stale: int
    runs: int
    passed: int
    buckets: Mapping[float, int]

    @property
    def up(self) -> float | None:
        """The share that is healthy or degraded; None when they cannot see."""
        probes = sum(self.states.values())
        up = self.states.get("healthy", 0) + self.states.get("degraded", 0)
        sees = up + self.states.get("unhealthy", 0)
        if not probes or sees - self.stale < MIN_SEEN * probes:
            return None
        return up / sees if sees else None


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNMEASURED = "unmeasured"
    """Nobody knows, which is as bad as missed."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An objective and what came of it. The truth lies within `error` of `observed`; infinite: a timeout."""

    objective: Objective
    verdict: Verdict
    observed: float | None = None
    error: float = 0.0
    samples: int = 0
    why: str = ""

    @property
    def is_sure(self) -> bool:
        """Whether it would be the same wherever within the error the truth lies."""
        return self.observed is not None and abs(self.observed - self.objective.bound) >= self.error

    @property
    def told(self) -> str:
        """The observed value, as people read it."""
        if self.observed is None:
            return "-"
        return "timeout" if math.isinf(self.observed) else self.objective.told(self.observed)


class Meter:
    """Watches one objective about probes over a stretch of time."""

    def __init__(self, objective: Objective) -> None:
        assert objective.metric not in MEASURED
        self.objective = objective
        self._first: Sums | None = None
        self._last: Sums | None = None
        self._lowest: float | None = None
        self._looks = 0
        self.trouble = ""
        """Why there was nothing to look at, the last time."""

    def take(self, sums: Sums) -> None:
        self._looks += 1
        self._first = self._first or sums
        self._last = sums
        up = sums.up
        if up is None:
            self.trouble = "the probes could not see"
        elif self._lowest is None or up < self._lowest:
            self._lowest = up

    @property
    def is_broken(self) -> bool:
        """Whether it is missed already, whatever comes: a share that was too low for a moment."""
        is_low = self._lowest is not None and not self.objective.is_met(self._lowest)
        return self.objective.metric is Metric.HEALTHY_RATIO and is_low

    def judged(self) -> Judged:
        if self._first is None or self._last is None:
            return _unmeasured(self.objective, self.trouble or "nobody looked")
        if self.objective.metric is Metric.HEALTHY_RATIO:
            if self._lowest is None:
                return _unmeasured(self.objective, self.trouble)
            return _bounded(self.objective, self._lowest, 0.0, self._looks)
        runs = self._last.runs - self._first.runs
        if runs <= 0:
            return _unmeasured(self.objective, "nothing ran meanwhile" if not runs else "the host started anew")
        return self._counted(self._first, self._last, runs)

    def _counted(self, first: Sums, last: Sums, runs: int) -> Judged:
        if self.objective.metric is Metric.SUCCESS_RATIO:
            return _bounded(self.objective, (last.passed - first.passed) / runs, 0.0, runs)
        value = quantile(QUANTILES[self.objective.metric], difference(last.buckets, first.buckets))
        if value is None:
            return _unmeasured(self.objective, "no run had a latency")
        return _bounded(self.objective, value, 0.0 if math.isinf(value) else value * BUCKET, runs)


def difference(later: Mapping[float, int], earlier: Mapping[float, int]) -> dict[float, int]:
    """What was counted in between."""
    counted = {bound: runs - earlier.get(bound, 0) for bound, runs in later.items()}
    return {bound: runs for bound, runs in counted.items() if runs > 0}


def quantile(share: float, buckets: Mapping[float, int]) -> float | None:
    """The upper bound of the bucket in which it lies: never better than the truth."""
    rank, passed = math.ceil(share * sum(buckets.values())), 0
    for bound in sorted(buckets):
        passed += buckets[bound]
        if passed >= rank:
            return bound
    return None


def judge_measured(objective: Objective, measures: Iterable[Measure]) -> Judged:
    """Of what the host measured of runs: the longest time of any group that is meant."""
    assert objective.metric in MEASURED
    meant = [one for one in measures if _is_meant(objective, one)]
    hurt = [one for one in meant if one.hurt]
    samples = sum(one.samples for one in meant)
    if not hurt:
        return _unmeasured(objective, "no probe saw the fault" if meant else "no run was measured")
    if objective.metric is Metric.DETECTION:
        times = [(one.detection_s, one) for one in hurt]
    else:
        times = [(one.recovery_s, one) for one in hurt]
    missing = [one.group for seconds, one in times if seconds is None]
    if missing:
        why = f"{', '.join(missing)} was not well again in time"
        return Judged(objective=objective, verdict=Verdict.MISSED, samples=samples, why=why)
    value, worst = max(((seconds or 0.0, one) for seconds, one in times), key=lambda pair: pair[0])
    return _bounded(objective, value, worst.error_s, samples)


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """How the host stands. others: runs in force that are not of this scenario. up: by steady state, in their order."""

    now_s: float
    toggles: Mapping[str, bool | str]
    others: Sequence[str]
    up: Sequence[float | None]


def unmet(requires: Requirements, now: Circumstances) -> list[str]:
    """What does not hold; empty when all does. Each is a sentence for the operator."""
    found = []
    for toggle in requires.toggles:
        if now.toggles.get(toggle) is not True:
            stands = "is off" if toggle in now.toggles else "is no toggle of this host"
            found.append(f"{toggle} {stands}; switch it on: fastprobe toggles set {toggle} on")
    if requires.no_incident and now.toggles.get("chaos.incident") is True:
        found.append("an incident is declared (toggle chaos.incident)")
    if requires.no_other_run and now.others:
        found.append(f"{', '.join(now.others[:3])} of somebody else is in force")
    if requires.windows and not any(is_within(when, now.now_s) for when in requires.windows):
        found.append("none of its windows is open")
    for steady, up in zip(requires.steady_state, now.up, strict=True):
        whose = "/".join(part for part in (steady.cluster, steady.namespace, steady.name) if part) or "all probes"
        if up is None:
            found.append(f"the probes of {whose} cannot see: there are none, or they have nothing recent to say")
        elif up < steady.healthy_ratio:
            found.append(f"{up:.0%} of {whose} are up, {steady.healthy_ratio:.0%} are asked for")
    return found


def _is_meant(objective: Objective, measure: Measure) -> bool:
    cluster, _, namespace = measure.group.partition("/")
    wanted = objective.probes
    return wanted.cluster in {None, cluster} and wanted.namespace in {None, namespace}


def _bounded(objective: Objective, value: float, error: float, samples: int) -> Judged:
    verdict = Verdict.MET if objective.is_met(value) else Verdict.MISSED
    return Judged(objective=objective, verdict=verdict, observed=value, error=error, samples=samples)


def _unmeasured(objective: Objective, why: str) -> Judged:
    return Judged(objective=objective, verdict=Verdict.UNMEASURED, why=why)
