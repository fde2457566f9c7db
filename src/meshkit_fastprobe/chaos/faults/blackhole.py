"""Connections that stay open and carry nothing: a partition, as a program sees it."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultHost, FaultPlan
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import check_share
from meshkit_fastprobe.chaos.proxies import Shape


@fault()
class Blackhole(msgspec.Struct, frozen=True, kw_only=True):
    """Swallow what comes through a proxy, in a `share` of its connections; the connections stay."""

    kind: ClassVar[str] = "blackhole"
    lasts: ClassVar[bool] = True
    proxy: str
    direction: Literal["up", "down", "both"] = "both"
    share: float = 1.0

    def __post_init__(self) -> None:
        check_share("Blackhole", self.share)
        passing.check_place("Blackhole", "", self.proxy)
        passing.check_direction("Blackhole", self.direction)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (passing.preflight(host, self.proxy),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        return passing.planned(host, self.kind, self.proxy, mark)

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        await passing.put(host, plan, Shape(swallow=True, share=self.share, direction=self.direction))

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        return passing.effect(host, plan)

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        await passing.take_off(host, plan)

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        return passing.is_gone(host, plan)

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:
        return passing.shaped(host, cls.kind)


_: type[Fault] = Blackhole
