"""What scenarios are, as people write them down: experiments in steps, what has to hold before each, what it is judged by.

Values only, for settings of every layer; chaos/scenarios/ lives by them. Durations are in seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

from meshkit_fastprobe.experiments import Selector, SteadyState
from meshkit_fastprobe.when import Once, Weekly

MAX_STEPS: Final = 64
MAX_OBJECTIVES: Final = 32
"""Of one step, or of the whole."""
MAX_LENGTH_S: Final = 86_400.0
DEFAULT_LENGTH_S: Final = 3600.0
MAX_WAIT_S: Final = 3600.0

OnFailure = Literal["stop", "continue"]


class Metric(StrEnum):
    """What an objective is about. Shares and percentiles are of the probes it names, times of what their groups measured."""

    HEALTHY_RATIO = "healthy_ratio"
    """The share that is up (healthy or degraded), at its lowest."""
    SUCCESS_RATIO = "success_ratio"
    """The share of runs that passed."""
    P50 = "p50"
    P90 = "p90"
    P99 = "p99"
    """Of the latencies of runs; a timeout is longer than everything."""
    DETECTION = "detection"
    RECOVERY = "recovery"
    """The longest of any affected group, as the receipt has it."""


SHARES: Final = frozenset({Metric.HEALTHY_RATIO, Metric.SUCCESS_RATIO})
QUANTILES: Final = {Metric.P50: 0.5, Metric.P90: 0.9, Metric.P99: 0.99}
MEASURED: Final = frozenset({Metric.DETECTION, Metric.RECOVERY})
"""Of experiments, by the host; everything else is of probes, and of any stretch of time."""


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """A bound that has to be kept: shares are at least it, times at most."""

    metric: Metric
    bound: float
    probes: Selector = Selector()
    name: str = ""

    @property
    def title(self) -> str:
        """As people say it: "p99 of orders at most 0.25"."""
        return self.name or f"{self.metric}{self._whose} {'>=' if self.metric in SHARES else '<='} {self.told(self.bound)}"

    def told(self, value: float) -> str:
        if self.metric in SHARES:
            return f"{value * 100:.4g}%"
        return f"{value:.3g}s" if value >= 1 else f"{value * 1000:.3g}ms"

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.metric in SHARES else value <= self.bound

    @property
    def _whose(self) -> str:
        named = [part for part in (self.probes.cluster, self.probes.namespace) if part]
        named += [f"{key}={value}" for key, value in self.probes.labels]
        return f" of {'/'.join(named)}" if named else ""


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What has to hold before it starts; patience_s is how long it may take until it does, and until the host lets it start."""

    toggles: tuple[str, ...] = ()
    steady_state: tuple[SteadyState, ...] = ()
    windows: tuple[Once | Weekly, ...] = ()
    """One of these has to be open; none given: it may start at any time."""
    no_incident: bool = True
    no_other_run: bool = True
    patience_s: float = 0.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment, or without one a time of looking. wait_s: rest before it; hold_s: how long it is looked at after it."""

    name: str
    experiment: str | None = None
    needs: tuple[str, ...] = ()
    wait_s: float = 0.0
    hold_s: float = 0.0
    on_failure: OnFailure = "stop"
    requires: Requirements = Requirements()
    objectives: tuple[Objective, ...] = ()
    says: str = ""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """max_length_s: when this is over, everything is ended, whatever still runs."""

    name: str
    steps: tuple[Step, ...]
    objectives: tuple[Objective, ...] = ()
    requires: Requirements = Requirements()
    max_length_s: float = DEFAULT_LENGTH_S
    on_failure: OnFailure = "stop"
    """What an objective of the whole does that is missed on the way."""
    says: str = ""

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)
