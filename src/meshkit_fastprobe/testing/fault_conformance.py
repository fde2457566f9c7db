"""What every kind of fault must do, and above all undo: run these before you publish one."""

from __future__ import annotations

from typing import Final, cast

import msgspec
import trio

from meshkit_fastprobe.chaos.faults.base import Backing, Fault, FaultHost, FaultPlan, HasWays, Leased
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry
from meshkit_fastprobe.testing.conformance import must, nothing_left, same_from_file

MARK: Final = "conformance"


async def check_fault(fault: Fault, host: FaultHost) -> None:
    """ConformanceError names the first rule that the fault breaks. It is really made here, and undone.

    host offers what the fault needs: `meshkit_fastprobe.chaos.bench.Bench` does.
    """
    kind = fault.kind
    described = cast("msgspec.Struct", fault)
    FaultRegistry().register(type(described))
    async with nothing_left(kind, "making a description"):
        same_from_file(described, kind)
    plan = await _planned(fault, host)
    try:
        await _calm_before(fault, host, plan)
        await _in_force(fault, host, plan)
        await _undone(fault, host, plan)
        if fault.lasts:
            with trio.CancelScope() as scope:
                scope.cancel()
                await fault.apply(host, plan)
            await _undone(fault, host, plan)  # whatever was half done
    finally:
        with trio.CancelScope(shield=True):
            await fault.revert(host, plan)


async def _planned(fault: Fault, host: FaultHost) -> FaultPlan:
    kind = fault.kind
    backings = await fault.preflight(host)
    must(backings, kind, "preflight tells of no way")
    must(any(way.usable for way in backings), kind, f"it cannot be made here: {'; '.join(way.why for way in backings)}")
    if isinstance(fault, HasWays):
        await _ways_told(fault, host, kind, backings)
    plan, again = await fault.plan(host, MARK), await fault.plan(host, MARK)
    must(plan == again, kind, "two plans of the same differ: planning has changed something")
    must((plan.kind, plan.mark) == (kind, MARK), kind, "the plan does not carry its kind and mark")
    must(plan.targets and plan.resources, kind, "the plan names nobody who is hurt, or nothing that others must not touch")
    must(plan.manual, kind, "the plan does not say what a person does when undoing fails")
    must(_reread(plan) == plan, kind, "the plan is another one once it was on the disk")
    must(not await _scanned(fault, host), kind, "scan finds it before it was made")
    return plan


async def _ways_told(fault: HasWays, host: FaultHost, kind: str, backings: tuple[Backing, ...]) -> None:
    ways = await fault.ways(host)
    names = [way.name for way in ways]
    must(len(set(names)) == len(names), kind, "it tells of the same way twice")
    must(all(way.reason for way in ways), kind, "it tells of a way without a reason")
    for backing in backings:
        must(backing.name in names, kind, f"preflight tells of a way that ways() does not: {backing.name}")


async def _calm_before(fault: Fault, host: FaultHost, plan: FaultPlan) -> None:
    await fault.revert(host, plan)
    must(await fault.is_gone(host, plan), fault.kind, "it is not gone although it was never made")


async def _in_force(fault: Fault, host: FaultHost, plan: FaultPlan) -> None:
    kind = fault.kind
    await fault.apply(host, plan)
    effect = await fault.verify(host, plan)
    must(effect.in_force, kind, f"it was made, and verify does not see it: {effect.told}")
    must(effect.told, kind, "verify has no words for a person")
    if not fault.lasts or not plan.handle:  # done already, or nothing to undo
        return
    must(not await fault.is_gone(host, plan), kind, "is_gone says so while it is in force")
    if isinstance(fault, Leased):
        await fault.renew(host, plan)
    for found in await _scanned(fault, host):
        must(found.kind == kind, kind, f"scan takes it for a {found.kind}")
        await fault.revert(host, found)
        must(await fault.is_gone(host, plan), kind, "what scan tells of it does not undo it")
        await fault.apply(host, plan)


async def _undone(fault: Fault, host: FaultHost, plan: FaultPlan) -> None:
    """By what was on the disk, and once more by somebody who does not know that."""
    kind = fault.kind
    for _ in range(2):
        await fault.revert(host, _reread(plan))
        must(await fault.is_gone(host, plan), kind, "it is not gone after it was undone")
    must(not await _scanned(fault, host), kind, "scan still finds it")


async def _scanned(fault: Fault, host: FaultHost) -> list[FaultPlan]:
    return [found for found in await fault.scan(host) if found.mark == MARK]


def _reread(plan: FaultPlan) -> FaultPlan:
    return msgspec.json.decode(msgspec.json.encode(plan), type=FaultPlan)
