"""Durations as people write them, "1h30m" or 0.25, and back."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

from meshkit_fastprobe.config.places import Place, shown
from meshkit_fastprobe.errors import ConfigError

NS_PER: Final = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
}
"""The units, largest first: the order in which they may follow each other."""

DURATION_PATTERN: Final = "^(?=[0-9])" + "".join(rf"([0-9]+(\.[0-9]+)?{unit})?" for unit in NS_PER) + "$"
HOW: Final = 'write seconds (0.25) or a number with a unit d, h, m, s, ms or us ("250ms", "5s", "1h30m")'
MAX_LENGTH: Final = 64
MIN_WRITTEN_S: Final = 1e-9

_whole = re.compile(DURATION_PATTERN)
_parts = re.compile(r"([0-9.]+)([a-z]+)")


def parse_duration(where: Place | str, value: float | str) -> float:
    """Seconds, finite and not negative. ConfigError for anything else."""
    if isinstance(value, str):
        return _parse_text(where, value)
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise ConfigError(str(where), f"{shown(value)} is not a duration", HOW)
    if value < 0:
        raise ConfigError(str(where), f"{shown(value)} is negative", "a duration is 0 or more seconds")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise ConfigError(str(where), f"{shown(value)} is not a finite duration", HOW)
    return seconds


def _parse_text(where: Place | str, text: str) -> float:
    seconds = _seconds(text)
    if seconds is None:
        raise ConfigError(str(where), _diagnose(text), HOW)
    return seconds


@lru_cache(maxsize=1024)
def _seconds(text: str) -> float | None:
    """Remembered: a file of thousands of probes holds a handful of durations."""
    compact = text.strip()
    if len(compact) > MAX_LENGTH or not _whole.fullmatch(compact):
        return None
    # Whole numbers until the one division, which rounds correctly: "300ms" is 0.3, and a float that was written comes back.
    parts = [(*number.partition("."), unit) for number, unit in _parts.findall(compact)]
    places = max(len(decimals) for _, _, decimals, _ in parts)
    total = sum(int(whole + decimals) * 10 ** (places - len(decimals)) * NS_PER[unit] for whole, _, decimals, unit in parts)
    seconds: float = total / (NS_PER["s"] * 10**places)
    return seconds


def _diagnose(text: str) -> str:
    compact = text.strip()
    if compact.startswith("-"):
        return f"{shown(text)} is negative"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", compact) and len(compact) <= MAX_LENGTH:
        return f"{shown(text)} has no unit"
    return f"{shown(text)} is not a duration"


def format_duration(seconds: float) -> str:
    """The usual text that parse_duration reads as the same float: 5400.0 is "1h30m", 0.25 is "250ms". Below 1ns: "0s"."""
    if seconds < 0 or not math.isfinite(seconds):
        return f"{seconds}s"  # no duration: what a message says of one that was refused
    if seconds < MIN_WRITTEN_S:
        return "0s"
    text = _compose(float(seconds))
    return text if _parse_text("", text) == seconds else f"{_plain(seconds)}s"


def _compose(seconds: float) -> str:
    if seconds < 0.001:
        return f"{_plain(round(seconds * 1e6, 6))}us"
    if seconds < 1:
        return f"{_plain(round(seconds * 1e3, 6))}ms"
    if not seconds.is_integer() or seconds < 60:
        return f"{_plain(seconds)}s"
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return "".join(f"{number}{unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "m"), (rest_s, "s")) if number)


def _plain(number: float) -> str:
    """Exactly this float, without an exponent and without .0 at its end."""
    mantissa, _, exponent = repr(float(number)).partition("e")
    if exponent.startswith("-"):
        return f"0.{'0' * (-int(exponent) - 1)}{mantissa.replace('.', '')}"
    return f"{number:.0f}" if exponent else mantissa.removesuffix(".0")
