"""Reading a situation: what an experiment would do, and how the host stands, for the guardrails to judge."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import trio

from meshkit_fastprobe.aggregation.glance import Seen
from meshkit_fastprobe.chaos.faults.base import Backing, Fault, FaultError, FaultHost, FaultPlan
from meshkit_fastprobe.chaos.guardrails import Situation
from meshkit_fastprobe.chaos.in_force import InForce
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal
from meshkit_fastprobe.chaos.resting import Resting
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
    hint = "name a way that this host has (fastprobe chaos faults -o wide), or choose another fault"
    raise ChaosRefusedError(Refusal.GUARDED, f"{experiment.id} cannot be made here: {_told(backings)}", hint)


def situation(
    experiment: Experiment,
    plan: FaultPlan,
    seen: Seen,
    in_force: InForce,
    *,
    is_on: Callable[[str], bool],
    halted: str | None,
    broken: str | None,
    stuck: tuple[str, ...],
    resting: Resting,
) -> Situation:
    """resting: on trio's clock."""
    steady, affects, now = experiment.steady_state, experiment.affects, trio.current_time()
    rows = None if affects is None else rows_of(seen, affects)
    # Whom it concerns: those it may hurt, or, when it does not say, those it is judged by.
    concerned = rows_of(seen, steady) if rows is None and steady is not None else rows
    groups = () if concerned is None else groups_of(seen, concerned)
    return Situation(
        now_s=time.time(),
        chaos_on=is_on("chaos.enabled"),
        kind_on=is_on(f"chaos.{plan.kind}.enabled"),
        incident=is_on("chaos.incident"),
        halted=halted,
        broken=broken,
        beside=in_force.beside(experiment.id, plan.resources, groups),
        stuck=stuck,
        ended=resting.since(experiment.id, plan.resources, now),
        up=None if steady is None else share_up(seen, steady),
        remaining={} if rows is None else remaining_up(seen, rows),
        groups=groups,
        hurt_probes=() if rows is None else tuple(seen.names[row] for row in rows.tolist()),
    )


def _told(backings: tuple[Backing, ...]) -> str:
    return "; ".join(f"{backing.name}: {backing.why}" for backing in backings)
