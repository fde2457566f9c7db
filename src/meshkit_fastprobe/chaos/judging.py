"""Reading a situation: what an experiment would do, and how the host stands, for the guardrails to judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import cast

import trio

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.chaos.faults.base import Backing, Fault, FaultError, FaultHost, FaultPlan
from meshkit_fastprobe.chaos.guardrails import Situation
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.sight import groups_of, remaining_up, rows_of, share_up
from meshkit_fastprobe.experiments import Experiment


def as_fault(experiment: Experiment) -> Fault:
    """The same object, as what it can do: the registry has checked that it can."""
    return cast("Fault", experiment.fault)


async def planned_fault(experiment: Experiment, host: FaultHost) -> FaultPlan:
    """What it would touch, as of now. ChaosRefusedError when there is nothing, or no way."""
    fault = as_fault(experiment)
    if not fault.lasts and experiment.steady_state is None and experiment.affects is None:
        what = f"{experiment.id} names no probes: nobody would see whether what it ends comes back"
        raise ChaosRefusedError(Refusal.GUARDED, what, "add steady_state or affects")
    try:
        backings = await fault.preflight(host)
        if any(backing.usable for backing in backings):
            return await fault.plan(host, experiment.id)
    except FaultError as error:
        raise ChaosRefusedError(Refusal.GUARDED, f"{experiment.id} cannot be planned: {error}") from None
    raise ChaosRefusedError(Refusal.GUARDED, f"{experiment.id} cannot be made here: {_told(backings)}", "choose another fault")


def situation(
    experiment: Experiment,
    plan: FaultPlan,
    snapshot: Snapshot,
    *,
    is_on: Callable[[str], bool],
    halted: str | None,
    broken: str | None,
    live: tuple[Run, ...],
    stuck: tuple[str, ...],
    ended: Mapping[str, float],
) -> Situation:
    """ended: when the last run of an experiment, or on a resource, ended, on trio's clock."""
    steady, affects, now = experiment.steady_state, experiment.affects, trio.current_time()
    rows = None if affects is None else rows_of(snapshot, affects)
    return Situation(
        now_s=time.time(),
        chaos_on=is_on("chaos.enabled"),
        kind_on=is_on(f"chaos.{plan.kind}.enabled"),
        incident=is_on("chaos.incident"),
        halted=halted,
        broken=broken,
        live=live,
        stuck=stuck,
        ended={key: now - ended[key] for key in (experiment.id, *plan.resources) if key in ended},
        up=None if steady is None else share_up(snapshot, steady),
        remaining={} if rows is None else remaining_up(snapshot, rows),
        groups=groups_of(snapshot, experiment),
        hurt_probes=() if rows is None else tuple(snapshot.names[row] for row in rows.tolist()),
    )


def _told(backings: tuple[Backing, ...]) -> str:
    return "; ".join(f"{backing.name}: {backing.why}" for backing in backings)
