"""Calls that fail: at an injection point."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from meshkit_fastprobe.chaos import points
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultHost, FaultPlan, HasWays, Way
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import check_share
from meshkit_fastprobe.config.options import check_text
from meshkit_fastprobe.errors import FaultInjectedError


@fault()
class InjectedError(msgspec.Struct, frozen=True, kw_only=True):
    """Raise FaultInjectedError with this message in a `share` of the calls of an injection point."""

    kind: ClassVar[str] = "error"
    lasts: ClassVar[bool] = True
    point: str
    message: str = "injected by an experiment"
    share: float = 1.0

    def __post_init__(self) -> None:
        check_share("InjectedError", self.share)
        check_text("InjectedError.point", self.point)
        check_text("InjectedError.message", self.message)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (points.preflight(host, self.point),)

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:
        return (points.way(host),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        return points.planned(host, self.kind, self.point, mark)

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        points.arm(host, points.AtPoint(plan, self.share, lambda: 0.0, lambda: FaultInjectedError(self.message)))

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        return points.effect(host, plan)

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        points.disarm(host, plan)

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        return points.is_gone(host, plan)

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:
        return points.armed(host, cls.kind)


_: type[Fault] = InjectedError
_ways: type[HasWays] = InjectedError
