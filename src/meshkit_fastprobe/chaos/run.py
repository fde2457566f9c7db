"""What is known of one run of an experiment: written down at each move, and what a receipt is made of."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from meshkit_fastprobe.chaos.faults.base import Effect, FaultPlan
from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.experiments import Experiment, parameters_of

SCHEMA_VERSION: Final = 1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly what is confirmed: two plans with the same id do the same to the same.

    remaining: the share of each group ("cluster/namespace") that stays healthy at worst.
    """

    experiment: str
    host: str
    cluster: str
    parameters: dict[str, Any]
    fault: FaultPlan
    duration_s: float
    recovery_s: float
    steady_state: dict[str, Any] | None
    affects: dict[str, Any] | None
    two_person: bool
    version: int = SCHEMA_VERSION

    @property
    def canonical(self) -> bytes:
        """The bytes that are hashed: sorted keys, no spaces."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def id(self) -> str:
        return hashlib.sha256(self.canonical).hexdigest()


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What the probes of one group ("cluster/namespace") saw. None: they saw nothing of the kind.

    Times count from when the fault was in force, and from when it was undone, to the sending of the first bad run and of the
    first of those good runs that lasted. The truth lies within error_s of both: the time between two runs of a probe.
    """

    group: str
    probes: int
    hurt: int
    samples: int
    detection_s: float | None = None
    recovery_s: float | None = None
    error_s: float = 0.0


class Move(msgspec.Struct, frozen=True):
    """at: seconds since the epoch."""

    phase: Phase
    at: float
    why: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One life. Subjects are as the audit calls them; times are seconds since the epoch."""

    id: str
    experiment: str
    phase: Phase
    plan: Plan
    requested_by: str
    reason: str = ""
    ticket: str = ""
    approved_by: str | None = None
    activated_by: str | None = None
    stopped_by: str | None = None
    why: str = ""
    """Why it stands where it stands."""
    moves: tuple[Move, ...] = ()
    injected_at: float | None = None
    ends_at: float | None = None
    reverted_at: float | None = None
    effect: Effect | None = None
    measures: tuple[Measure, ...] = ()
    remaining: dict[str, float] = {}
    groups: tuple[str, ...] = ()
    """Whom it concerns: "cluster/namespace"."""
    steady_before: float | None = None
    steady_after: float | None = None


def plan_of(experiment: Experiment, fault: FaultPlan, *, host: str, cluster: str, two_person: bool) -> Plan:
    return Plan(
        experiment=experiment.id,
        host=host,
        cluster=cluster,
        parameters=parameters_of(experiment.fault),
        fault=fault,
        duration_s=experiment.duration_s,
        recovery_s=experiment.recovery_s,
        steady_state=None if experiment.steady_state is None else msgspec.to_builtins(experiment.steady_state),
        affects=None if experiment.affects is None else msgspec.to_builtins(experiment.affects),
        two_person=two_person,
    )
