"""Nothing: an experiment without harm, to rehearse the steps and to measure the machinery."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultHost, FaultPlan, HasWays, Way
from meshkit_fastprobe.chaos.faults.registry import fault


@fault()
class Null(msgspec.Struct, frozen=True, kw_only=True):
    """Touches nothing but a name: `target` is what it would have hurt."""

    kind: ClassVar[str] = "null"
    lasts: ClassVar[bool] = True
    target: str = "nothing"

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:  # noqa: ARG002 - the same everywhere
        return (Backing("memory", usable=True, why="touches nothing"),)

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:  # noqa: ARG003 - the same everywhere
        return (Way("memory", available=True, reason="touches nothing"),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:  # noqa: ARG002 - the same everywhere
        return FaultPlan(
            kind=self.kind,
            backend="memory",
            mark=mark,
            targets=(self.target,),
            resources=(f"null:{self.target}",),
            handle={},
            manual="nothing to do",
            local=True,
        )

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None: ...

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:  # noqa: ARG002 - the same everywhere
        return Effect(in_force=True, touched=None, told="there is nothing to see")

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None: ...

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:  # noqa: ARG003 - the same everywhere
        return True

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:  # noqa: ARG003 - the same everywhere
        return ()


_: type[Fault] = Null
_ways: type[HasWays] = Null
