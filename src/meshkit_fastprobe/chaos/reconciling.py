"""At the start: undo what a process that died has left, by the journal and by the marks in the kernel."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec
import trio

from meshkit_fastprobe.chaos.faults.base import Fault, FaultHost, FaultPlan
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry
from meshkit_fastprobe.chaos.run import Move, Run
from meshkit_fastprobe.chaos.states import HARMFUL, WAITING, Phase

EACH_S: Final = 10.0
"""For one fault to be undone."""

log = logging.getLogger("meshkit_fastprobe.chaos")


async def reconciled(run: Run, faults: FaultRegistry, host: FaultHost) -> Run:
    """What an unfinished run of an earlier process comes to."""
    if run.phase in WAITING or run.phase is Phase.DRAFT:
        return _ended(run, Phase.EXPIRED, "the host was started anew before it was confirmed")
    if run.phase is Phase.ARMED:
        return _ended(run, Phase.CANCELLED, "the host was started anew before anything was injected")
    if run.phase not in HARMFUL:
        return _ended(run, Phase.ORPHAN_REVERTED, "the host was started anew after the fault was undone")
    run = _injected(run)
    failed = await undone(run.plan.fault, faults, host)
    if failed is None:
        return _ended(run, Phase.ORPHAN_REVERTED, "its process died; undone at the next start", reverted=True)
    if run.phase is not Phase.REVERT_FAILED:
        run = _ended(run, Phase.REVERTING, "its process died")
        run = _ended(run, Phase.REVERT_FAILED, _by_hand(run, failed))
    log.critical("experiment %s COULD NOT BE UNDONE: %s", run.id, _by_hand(run, failed))
    return run


async def tried_again(run: Run, faults: FaultRegistry, host: FaultHost) -> Run:
    """What a run whose fault could not be undone comes to now."""
    failed = await undone(run.plan.fault, faults, host)
    if failed is None:
        return _ended(run, Phase.ORPHAN_REVERTED, "undone at last", reverted=True)
    return _ended(run, Phase.REVERT_FAILED, _by_hand(run, failed))


async def undone(plan: FaultPlan, faults: FaultRegistry, host: FaultHost) -> str | None:
    """Why a fault could not be undone; None when nothing of it is left."""
    if plan.kind not in faults:
        return f"there is no fault kind {plan.kind!r} any more"
    kind: type[Fault] = faults.as_fault(plan.kind)
    try:
        with trio.fail_after(EACH_S):
            await kind.revert(host, plan)
            return None if await kind.is_gone(host, plan) else "it is still there"
    except Exception as error:  # noqa: BLE001 - a fault of anybody may raise anything; the next one is still undone
        return f"{type(error).__name__}: {error}"


async def sweep(
    faults: FaultRegistry, host: FaultHost, spare: Callable[[FaultPlan], bool]
) -> list[tuple[FaultPlan, str | None]]:
    """Undo everything with our mark that `spare` does not speak for; each with why it could not be undone, or None."""
    found = [plan for kind in faults for plan in await marked(kind, faults, host) if not spare(plan)]
    return [(plan, await undone(plan, faults, host)) for plan in found]


async def marked(kind: str, faults: FaultRegistry, host: FaultHost) -> tuple[FaultPlan, ...]:
    """What the kernel has of this kind with our mark; nothing when it cannot be asked."""
    try:
        with trio.fail_after(EACH_S):
            return await faults.as_fault(kind).scan(host)
    except Exception as error:  # noqa: BLE001 - a fault of anybody may raise anything; the other kinds are still looked at
        log.error("cannot look for faults of kind %s: %s", kind, error)
        return ()


def _injected(run: Run) -> Run:
    """The disk may know only that it was about to be: then it counts from there, harmless or not."""
    if run.injected_at is not None:
        return run
    began = next((move.at for move in run.moves if move.phase is Phase.INJECTING), None)
    return msgspec.structs.replace(run, injected_at=began)


def _by_hand(run: Run, failed: str) -> str:
    return f"{failed}; undo it by hand: {run.plan.fault.manual}"


def _ended(run: Run, phase: Phase, why: str, *, reverted: bool = False) -> Run:
    at = time.time()
    return msgspec.structs.replace(
        run,
        phase=phase,
        why=why,
        moves=(*run.moves, Move(phase, at, why)),
        reverted_at=at if reverted else run.reverted_at,
    )
