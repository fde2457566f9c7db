"""Connections that stay open and carry nothing: a partition, as a program sees it."""

from __future__ import annotations

from typing import ClassVar, Literal

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.at_proxy import AtProxy
from meshkit_fastprobe.chaos.faults.base import Fault, HasWays
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import check_share
from meshkit_fastprobe.chaos.proxies import Shape


@fault()
class Blackhole(AtProxy, frozen=True, kw_only=True):
    """Swallow what comes through a proxy, in a `share` of its connections; the connections stay."""

    kind: ClassVar[str] = "blackhole"
    direction: Literal["up", "down", "both"] = "both"
    share: float = 1.0

    def __post_init__(self) -> None:
        check_share("Blackhole", self.share)
        passing.check_place("Blackhole", "", self.proxy)
        passing.check_direction("Blackhole", self.direction)

    @property
    def shape(self) -> Shape:
        return Shape(swallow=True, share=self.share, direction=self.direction)


_: type[Fault] = Blackhole
_ways: type[HasWays] = Blackhole
