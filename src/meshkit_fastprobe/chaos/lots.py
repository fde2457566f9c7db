"""Who is hit, and how long they wait: drawn by lot, the same for points and proxies."""

from __future__ import annotations

import random
from typing import Final, Literal, TypeAlias

import msgspec

from meshkit_fastprobe.config.durations import parse_duration
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

Distribution: TypeAlias = Literal["uniform", "normal", "exponential"]
DISTRIBUTIONS: Final = ("uniform", "normal", "exponential")
MAX_DELAY_S: Final = 60.0


class Delay(msgspec.Struct, frozen=True):
    """delay_s, give or take jitter_s: evenly, by a bell curve whose deviation jitter_s is, or with a tail of that mean.

    Never less than nothing, and never more than MAX_DELAY_S.
    """

    delay_s: float
    jitter_s: float = 0.0
    distribution: Distribution = "uniform"

    def draw(self) -> float:
        match self.distribution:
            case "uniform":
                drawn = self.delay_s + random.uniform(-self.jitter_s, self.jitter_s)  # noqa: S311 - by lot, not by secret
            case "normal":
                drawn = random.gauss(self.delay_s, self.jitter_s)
            case "exponential":
                drawn = self.delay_s + (random.expovariate(1 / self.jitter_s) if self.jitter_s else 0.0)
        return min(max(drawn, 0.0), MAX_DELAY_S)


class Loss(msgspec.Struct, frozen=True):
    """ratio of what passes is lost: by lot, or, of each cycle of burst / ratio, the first `burst`."""

    ratio: float
    burst: int = 1

    def takes(self, number: int) -> bool:
        """Whether the one with this number, counted from 0 in its direction, is lost."""
        return hits(self.ratio) if self.burst == 1 else number % self.cycle < self.burst

    @property
    def cycle(self) -> int:
        return max(self.burst, round(self.burst / self.ratio))


def hits(share: float) -> bool:
    return share >= 1 or random.random() < share  # noqa: S311 - by lot, not by secret


def delay_of(kind: str, delay: float | str, jitter: float | str, distribution: str) -> Delay:
    """From what people write. ConfigError at `Kind.field`."""
    seconds = {name: parse_duration(f"{kind}.{name}", text) for name, text in (("delay", delay), ("jitter", jitter))}
    for name, value in seconds.items():
        if value > MAX_DELAY_S:
            raise ConfigError(f"{kind}.{name}", f"{shown(value)} s is more than {MAX_DELAY_S:g} s", "choose less")
    if seconds["delay"] == 0 and seconds["jitter"] == 0:
        raise ConfigError(f"{kind}.delay", "no delay at all", 'write delay = "200ms"')
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(f"{kind}.distribution", f"{shown(distribution)} is not known", f"use {', '.join(DISTRIBUTIONS)}")
    return Delay(seconds["delay"], seconds["jitter"], distribution)  # type: ignore[arg-type]  # checked above


def check_share(kind: str, share: float) -> None:
    if isinstance(share, bool) or not 0 < share <= 1:
        raise ConfigError(f"{kind}.share", f"{shown(share)} is not in 0..1", "write 0.3 to hit 30 %")
