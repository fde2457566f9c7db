"""Faults at injection points of this process: armed on a point, counted, and gone as soon as the point is disarmed.

Who waits in a fault when it is undone goes on at once. A plain (not awaited) passage on the thread of the event loop is let
through: holding up the loop would hold up whatever undoes the fault.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import trio

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultError, FaultHost, FaultPlan, Way
from meshkit_fastprobe.chaos.lots import hits

BACKEND: Final = "injection point"


class AtPoint:
    """One fault in force at one point. wait_s: how long a passage is held; raises: what it raises then, if anything."""

    def __init__(
        self, plan: FaultPlan, share: float, wait_s: Callable[[], float], raises: Callable[[], Exception] | None = None
    ) -> None:
        self.plan = plan
        self.touched = 0
        self._share = share
        self._wait_s = wait_s
        self._raises = raises
        self._gone = threading.Event()
        self._waiting: set[trio.CancelScope] = set()

    async def passage(self) -> None:
        if not hits(self._share):
            return
        self.touched += 1
        wait_s = self._wait_s()
        if wait_s:
            with trio.move_on_after(wait_s) as scope:
                self._waiting.add(scope)
                try:
                    await trio.sleep_forever()
                finally:
                    self._waiting.discard(scope)
        if self._raises is not None and not self._gone.is_set():
            raise self._raises()

    def passage_sync(self) -> None:
        if not hits(self._share):
            return
        wait_s = self._wait_s()
        if wait_s and trio.lowlevel.in_trio_run():
            return
        self.touched += 1
        if wait_s:
            self._gone.wait(wait_s)
        if self._raises is not None and not self._gone.is_set():
            raise self._raises()

    def end(self) -> None:
        """Everybody who waits goes on."""
        self._gone.set()
        for scope in tuple(self._waiting):
            scope.cancel()


_in_force: Final[dict[int, AtPoint]] = {}
"""By the identity of the point, which lives as long as its host."""


def way(host: FaultHost) -> Way:
    points = len(host.points)
    return Way(BACKEND, available=points > 0, reason=f"points: {points}" if points else "no code here has asked for one")


def preflight(host: FaultHost, name: str) -> Backing:
    """name: empty when the experiment names none."""
    if not name:
        return Backing(BACKEND, usable=False, why="the experiment names no point")
    known = name in host.points
    return Backing(BACKEND, usable=known, why="the embedder's code passes it" if known else _none(host, name))


def planned(host: FaultHost, kind: str, name: str, mark: str) -> FaultPlan:
    if name not in host.points:
        raise FaultError(_none(host, name))
    return FaultPlan(
        kind=kind,
        backend=BACKEND,
        mark=mark,
        targets=(name,),
        resources=(f"point:{name}",),
        handle={"point": name},
        manual="end this process: the fault lives in it",
        local=True,
    )


def arm(host: FaultHost, fault: AtPoint) -> None:
    point = _point(host, fault.plan)
    if point is None:
        raise FaultError(f"there is no injection point {fault.plan.handle['point']!r} any more")
    try:
        point.arm(fault.passage, fault.passage_sync, fault.plan.mark)
    except RuntimeError as error:
        raise FaultError(str(error)) from None
    _in_force[id(point)] = fault


def effect(host: FaultHost, plan: FaultPlan) -> Effect:
    point = _point(host, plan)
    fault = None if point is None or point.armed_by != plan.mark else _in_force.get(id(point))
    if fault is None:
        return Effect(in_force=False, touched=None, told="the point is not armed by it")
    return Effect(in_force=True, touched=fault.touched, told=f"{fault.touched} calls of {plan.handle['point']} were touched")


def disarm(host: FaultHost, plan: FaultPlan) -> None:
    """Calm when it is another's, or nobody's."""
    point = _point(host, plan)
    if point is None or point.armed_by != plan.mark:
        return
    point.disarm()
    fault = _in_force.pop(id(point), None)
    if fault is not None:
        fault.end()


def is_gone(host: FaultHost, plan: FaultPlan) -> bool:
    point = _point(host, plan)
    return point is None or point.armed_by != plan.mark


def armed(host: FaultHost, kind: str) -> tuple[FaultPlan, ...]:
    """The faults of this kind at the points of this process."""
    found = (_in_force.get(id(point)) for point in host.points.values() if point.armed)
    return tuple(fault.plan for fault in found if fault is not None and fault.plan.kind == kind)


def _none(host: FaultHost, name: str) -> str:
    return f"no code here passes an injection point {name!r}; there are: {', '.join(sorted(host.points)) or 'none'}"


def _point(host: FaultHost, plan: FaultPlan) -> InjectionPoint | None:
    return host.points.get(plan.handle["point"])
