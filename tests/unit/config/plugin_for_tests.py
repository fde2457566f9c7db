"""A plug-in as others would write one."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome
from meshkit_fastprobe.probes.registry import ProbeRegistry


class Queue(msgspec.Struct, frozen=True, rename={"group_by": "group-by"}):
    kind: ClassVar[str] = "queue"
    target: str
    max_depth: int
    group_by: str = "topic"

    def __post_init__(self) -> None:
        if self.max_depth < 0:
            raise ConfigError("Queue.max_depth", f"{self.max_depth} is negative", "use 0 or more")
        if self.target == "explode":
            raise RuntimeError("boom")

    def check(self) -> Outcome | None: ...


def register(kinds: ProbeRegistry) -> None:
    kinds.register(Queue)


def register_taken(kinds: ProbeRegistry) -> None:
    kinds.register(kinds["tcp"])
