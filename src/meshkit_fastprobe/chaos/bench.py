"""What faults are given of the process they live in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.faults.base import FaultHost
from meshkit_fastprobe.errors import ConfigError


class Bench:
    """Injection points, and whatever an embedder gave faults to work with, by "proxy:NAME", "child:NAME", "callable:NAME"."""

    def __init__(self, name: str, points: Mapping[str, InjectionPoint], state_dir: Path | None) -> None:
        self.name = name
        self.points = points
        self.state_dir = state_dir
        self.services: dict[str, object] = {}

    def offer(self, key: str, service: object) -> None:
        """Give faults something to work with. ConfigError for a key that is taken."""
        if key in self.services:
            raise ConfigError("chaos", f"{key} is offered already", "choose another name")
        self.services[key] = service

    def service(self, key: str) -> object:
        """KeyError when nobody gave it."""
        return self.services[key]


_: type[FaultHost] = Bench
