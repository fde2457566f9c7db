"""Connections that are slow."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.at_proxy import AtProxy
from meshkit_fastprobe.chaos.faults.base import Fault, HasWays
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import check_share
from meshkit_fastprobe.chaos.proxies import Shape
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MIN_BYTES_PER_S: Final = 1
MAX_BYTES_PER_S: Final = 1e9


@fault()
class Bandwidth(AtProxy, frozen=True, kw_only=True):
    """Let `bytes_per_s` through each connection of a proxy and direction, in a `share` of them."""

    kind: ClassVar[str] = "bandwidth"
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

    @property
    def shape(self) -> Shape:
        return Shape(bytes_per_s=self.bytes_per_s, share=self.share, direction=self.direction)


_: type[Fault] = Bandwidth
_ways: type[HasWays] = Bandwidth
