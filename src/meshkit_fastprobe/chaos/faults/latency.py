"""Calls and connections that take longer: at an injection point, or through a proxy where the program passes none."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from meshkit_fastprobe.chaos import passing, points
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultHost, FaultPlan, HasWays, Way, best
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import Delay, Distribution, check_share, delay_of
from meshkit_fastprobe.chaos.proxies import Shape


@fault()
class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Delay a `share` of the calls at an injection point, or of the connections through a proxy, by `delay` +- `jitter`.

    With both named, the point is taken where the program here passes it, and the proxy elsewhere.
    """

    kind: ClassVar[str] = "latency"
    lasts: ClassVar[bool] = True
    delay: float | str
    jitter: float | str = 0.0
    distribution: Distribution = "uniform"
    share: float = 1.0
    point: str = ""
    proxy: str = ""
    direction: Literal["up", "down", "both"] = "down"

    def __post_init__(self) -> None:
        self._drawn()
        check_share("Latency", self.share)
        passing.check_place("Latency", self.point, self.proxy)
        passing.check_direction("Latency", self.direction)

    def _drawn(self) -> Delay:
        return delay_of("Latency", self.delay, self.jitter, self.distribution)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (points.preflight(host, self.point), passing.preflight(host, self.proxy))

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:
        return (points.way(host), passing.way(host))

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        if best(await self.preflight(host)).name == points.BACKEND:
            return points.planned(host, self.kind, self.point, mark)
        return passing.planned(host, self.kind, self.proxy, mark)

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        drawn = self._drawn()
        if plan.backend == points.BACKEND:
            points.arm(host, points.AtPoint(plan, self.share, drawn.draw))
        else:
            await passing.put(host, plan, Shape(delay=drawn, share=self.share, direction=self.direction))

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        return points.effect(host, plan) if plan.backend == points.BACKEND else passing.effect(host, plan)

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        if "point" in plan.handle:
            points.disarm(host, plan)
        else:
            await passing.take_off(host, plan)

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        return (points.is_gone if "point" in plan.handle else passing.is_gone)(host, plan)

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:
        return (*points.armed(host, cls.kind), *passing.shaped(host, cls.kind))


_: type[Fault] = Latency
_ways: type[HasWays] = Latency
