"""Connections that are slow."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import msgspec

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultHost, FaultPlan
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import check_share
from meshkit_fastprobe.chaos.proxies import Shape
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MIN_BYTES_PER_S: Final = 1
MAX_BYTES_PER_S: Final = 1e9


@fault()
class Bandwidth(msgspec.Struct, frozen=True, kw_only=True):
    """Let `bytes_per_s` through each connection of a proxy and direction, in a `share` of them."""

    kind: ClassVar[str] = "bandwidth"
    lasts: ClassVar[bool] = True
    proxy: str
    bytes_per_s: float
    direction: Literal["up", "down", "both"] = "both"
    share: float = 1.0

    def __post_init__(self) -> None:
        check_share("Bandwidth", self.share)
        passing.check_place("Bandwidth", "", self.proxy)
        passing.check_direction("Bandwidth", self.direction)
        if not MIN_BYTES_PER_S <= self.bytes_per_s <= MAX_BYTES_PER_S:
            bounds = f"{MIN_BYTES_PER_S}..{MAX_BYTES_PER_S:g}"
            raise ConfigError("Bandwidth.bytes_per_s", f"{shown(self.bytes_per_s)} is not in {bounds}", "choose a pace between")

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (passing.preflight(host, self.proxy),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        return passing.planned(host, self.kind, self.proxy, mark)

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        await passing.put(host, plan, Shape(bytes_per_s=self.bytes_per_s, share=self.share, direction=self.direction))

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


_: type[Fault] = Bandwidth
