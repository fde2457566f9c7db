"""Kinds of faults that there is one way for: a shape that a proxy of this process gives to what passes through it."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import msgspec

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultHost, FaultPlan, Way
from meshkit_fastprobe.chaos.proxies import Shape


class AtProxy(msgspec.Struct, frozen=True, kw_only=True):
    """A kind says what it is called, what else there is to set, and its shape. ONLY: the protocol it is about; empty: any."""

    kind: ClassVar[str]
    lasts: ClassVar[bool] = True
    only: ClassVar[str] = ""
    proxy: str

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """What becomes of what passes."""

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (passing.preflight(host, self.proxy, only=self.only),)

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:
        return (passing.way(host, only=cls.only),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        return passing.planned(host, self.kind, self.proxy, mark, only=self.only)

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        await passing.put(host, plan, self.shape)

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
