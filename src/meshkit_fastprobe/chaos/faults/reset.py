"""Connections that are reset, as when a process dies."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultHost, FaultPlan
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import check_share
from meshkit_fastprobe.chaos.proxies import Shape


@fault()
class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """Reset a `share` of the connections through a proxy, those there are and those that come."""

    kind: ClassVar[str] = "reset"
    lasts: ClassVar[bool] = True
    proxy: str
    share: float = 1.0

    def __post_init__(self) -> None:
        check_share("Reset", self.share)
        passing.check_place("Reset", "", self.proxy)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (passing.preflight(host, self.proxy, only="tcp"),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        return passing.planned(host, self.kind, self.proxy, mark, only="tcp")

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        await passing.put(host, plan, Shape(reset=True, share=self.share))

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


_: type[Fault] = Reset
