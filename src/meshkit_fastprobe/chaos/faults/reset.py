"""Connections that are reset, as when a process dies."""

from __future__ import annotations

from typing import ClassVar

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.at_proxy import AtProxy
from meshkit_fastprobe.chaos.faults.base import Fault, HasWays
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import check_share
from meshkit_fastprobe.chaos.proxies import Shape


@fault()
class Reset(AtProxy, frozen=True, kw_only=True):
    """Reset a `share` of the connections through a proxy, those there are and those that come."""

    kind: ClassVar[str] = "reset"
    only: ClassVar[str] = "tcp"
    share: float = 1.0

    def __post_init__(self) -> None:
        check_share("Reset", self.share)
        passing.check_place("Reset", "", self.proxy)

    @property
    def shape(self) -> Shape:
        return Shape(reset=True, share=self.share)


_: type[Fault] = Reset
_ways: type[HasWays] = Reset
