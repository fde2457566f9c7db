"""What readers see of experiments and their runs."""

from __future__ import annotations

from typing import Any

import msgspec

from meshkit_fastprobe.chaos.faults.base import Backing, FaultPlan
from meshkit_fastprobe.chaos.run import Measure, Move, Plan, Run
from meshkit_fastprobe.experiments import Experiment, parameters_of
from meshkit_fastprobe.security.policy import Resource
from meshkit_fastprobe.server.envelope import rfc3339
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.reports import Body


class BackingItem(Body):
    name: str
    usable: bool
    why: str


class WayItem(Body):
    name: str
    available: bool
    reason: str


class FaultItem(Body):
    """A kind of fault there is on this host."""

    kind: str
    says: str
    enabled: bool
    """Whether its toggle is on, and that of all chaos."""
    keys: list[str]
    needs: list[str]
    """Of the keys, those that have to be given."""
    ways: list[WayItem] = msgspec.field(default_factory=list)
    """Of making it on this host, best first, whoever is to be hurt."""


class PlanItem(Body):
    """What is confirmed: the plan's id is the SHA-256 of `canonical`."""

    id: str
    fault: str
    backend: str
    targets: list[str]
    resources: list[str]
    manual: str
    """How a person undoes it."""
    duration_seconds: float
    canonical: str


class MoveOfRun(Body):
    phase: str
    at: str
    why: str = ""


class EffectItem(Body):
    in_force: bool
    told: str
    touched: int | None = None


class MeasureItem(Body):
    group: str
    probes: int
    hurt: int
    samples: int
    error_seconds: float
    detection_seconds: float | None = None
    recovery_seconds: float | None = None


class RunItem(Body):
    id: str
    experiment: str
    phase: str
    plan: PlanItem
    requested_by: str
    moves: list[MoveOfRun]
    why: str = ""
    reason: str = ""
    ticket: str = ""
    approved_by: str | None = None
    activated_by: str | None = None
    stopped_by: str | None = None
    injected_at: str | None = None
    ends_at: str | None = None
    reverted_at: str | None = None
    effect: EffectItem | None = None
    measures: list[MeasureItem] = msgspec.field(default_factory=list)
    remaining: dict[str, float] = msgspec.field(default_factory=dict)
    """By "cluster/namespace": the share that stays up at worst, as foretold."""
    steady_before: float | None = None
    steady_after: float | None = None


class ConfirmationItem(Body):
    """Good once, soon, and for who asked."""

    token: str
    plan_id: str
    expires_seconds: float


class ExperimentItem(Body):
    id: str
    fault: str
    phase: str
    parameters: dict[str, Any]
    duration_seconds: float
    recovery_seconds: float
    two_person: bool
    cluster: str
    namespace: str
    says: str = ""
    steady_state: dict[str, Any] | None = None
    affects: dict[str, Any] | None = None
    run: RunItem | None = None
    """The newest."""
    confirmation: ConfirmationItem | None = None
    backings: list[BackingItem] = msgspec.field(default_factory=list)
    """The ways of making its fault here; with what was prepared."""


class HaltItem(Body):
    """What a halt, or its end, came to."""

    halted: bool
    why: str
    runs: list[RunItem]


class ObjectItem(Body):
    """One thing with our mark, or one that should be there and is not."""

    mark: str
    fault: str
    resources: list[str]
    state: str
    """held: a run speaks for it; stuck: it could not be undone; orphan: nobody speaks for it; missing: a run should have it."""
    run: str | None = None


class ReceiptItem(Body):
    """A run that has ended, signed with Ed25519: `signature` is over the bytes of `content`."""

    content: str
    signature: str
    public_key: str


def resource_of(host: Host, experiment: Experiment) -> Resource:
    """What bindings are compared with."""
    settings = host.settings
    return Resource(
        host=settings.host,
        cluster=experiment.cluster or settings.cluster,
        namespace=experiment.namespace,
        fault=experiment.fault.kind,
    )


def resource_of_run(host: Host, run: Run) -> Resource:
    """The same of a run, whose experiment may be gone."""
    settings, plan = host.settings, run.plan
    axes: dict[str, str] = {}
    for axis in ("cluster", "namespace"):
        named = ((selector or {}).get(axis) for selector in (plan.affects, plan.steady_state))
        axes[axis] = next((value for value in named if value), "")
    return Resource(
        host=settings.host, cluster=axes["cluster"] or settings.cluster, namespace=axes["namespace"], fault=plan.fault.kind
    )


def plan_item(plan: Plan) -> PlanItem:
    fault: FaultPlan = plan.fault
    return PlanItem(
        id=plan.id,
        fault=fault.kind,
        backend=fault.backend,
        targets=list(fault.targets),
        resources=list(fault.resources),
        manual=fault.manual,
        duration_seconds=plan.duration_s,
        canonical=plan.canonical.decode(),
    )


def run_item(run: Run) -> RunItem:
    effect = run.effect
    return RunItem(
        id=run.id,
        experiment=run.experiment,
        phase=str(run.phase),
        plan=plan_item(run.plan),
        requested_by=run.requested_by,
        moves=[_move_item(move) for move in run.moves],
        why=run.why,
        reason=run.reason,
        ticket=run.ticket,
        approved_by=run.approved_by,
        activated_by=run.activated_by,
        stopped_by=run.stopped_by,
        injected_at=_time(run.injected_at),
        ends_at=_time(run.ends_at),
        reverted_at=_time(run.reverted_at),
        effect=None if effect is None else EffectItem(in_force=effect.in_force, told=effect.told, touched=effect.touched),
        measures=[_measure_item(measure) for measure in run.measures],
        remaining=run.remaining,
        steady_before=run.steady_before,
        steady_after=run.steady_after,
    )


def experiment_item(
    host: Host,
    experiment: Experiment,
    run: Run | None,
    confirmation: ConfirmationItem | None = None,
    backings: tuple[Backing, ...] = (),
) -> ExperimentItem:
    chaos = host.chaos
    assert chaos is not None
    resource = resource_of(host, experiment)
    return ExperimentItem(
        id=experiment.id,
        fault=experiment.fault.kind,
        phase="draft" if run is None else str(run.phase),
        parameters=parameters_of(experiment.fault),
        duration_seconds=experiment.duration_s,
        recovery_seconds=experiment.recovery_s,
        two_person=experiment.two_person or chaos.settings.two_person,
        cluster=resource.cluster,
        namespace=resource.namespace,
        says=experiment.says,
        steady_state=_selector(experiment.steady_state),
        affects=_selector(experiment.affects),
        run=None if run is None else run_item(run),
        confirmation=confirmation,
        backings=[BackingItem(name=one.name, usable=one.usable, why=one.why) for one in backings],
    )


def _selector(selector: msgspec.Struct | None) -> dict[str, Any] | None:
    """As in the configuration, in the payload's names."""
    if selector is None:
        return None
    told = {name: value for name, value in msgspec.structs.asdict(selector).items() if value not in (None, ())}
    if "labels" in told:
        told["labels"] = dict(told["labels"])
    if "healthy_ratio" in told:
        told["healthyRatio"] = told.pop("healthy_ratio")
    return told


def _move_item(move: Move) -> MoveOfRun:
    return MoveOfRun(phase=str(move.phase), at=rfc3339(move.at), why=move.why)


def _measure_item(measure: Measure) -> MeasureItem:
    return MeasureItem(
        group=measure.group,
        probes=measure.probes,
        hurt=measure.hurt,
        samples=measure.samples,
        error_seconds=measure.error_s,
        detection_seconds=measure.detection_s,
        recovery_seconds=measure.recovery_s,
    )


def _time(wall_s: float | None) -> str | None:
    return None if wall_s is None else rfc3339(wall_s)
