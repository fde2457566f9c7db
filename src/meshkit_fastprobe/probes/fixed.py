"""A target of the task lane whose every run comes to the same: its name does not resolve."""

from __future__ import annotations

import msgspec
import trio

from meshkit_fastprobe.model import Outcome
from meshkit_fastprobe.probes.base import AsyncTarget


class FixedTarget:
    __slots__ = ("timed_out",)

    def __init__(self, outcome: Outcome) -> None:
        self.timed_out = msgspec.structs.replace(outcome, latency_s=0.0)

    async def check(self) -> Outcome:
        await trio.lowlevel.checkpoint()
        return self.timed_out

    def close(self) -> None:
        """Nothing is kept."""


_: type[AsyncTarget] = FixedTarget
