"""Values as people read them: ages, latencies, counts, states. No colour is ever the only carrier of meaning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

MARKS: Final = {
    "healthy": ("●", "green"),
    "degraded": ("▲", "yellow"),
    "unhealthy": ("✖", "red"),
    "unknown": ("○", "bright_black"),
    "paused": ("❚", "cyan"),
}
"""Shape first, colour second; the word follows where there is room."""

SEVERITY: Final = {"unhealthy": 0, "degraded": 1, "unknown": 2, "paused": 3, "healthy": 4}


def latency(seconds: float | None) -> str:
    """Three figures and a unit: 128µs, 4.21ms, 1.20s; nothing at all is 0s."""
    if not seconds:
        return "-" if seconds is None else "0s"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale or unit == "µs":
            value = seconds / scale
            return f"{value:.0f}{unit}" if value >= 99.95 else f"{value:.1f}{unit}" if value >= 9.995 else f"{value:.2f}{unit}"
    raise AssertionError("microseconds take everything")


def quantile(item: dict[str, object], name: str) -> str:
    """A quantile of an item of the wire; one beyond the histogram (among the timeouts) has no number."""
    beyond = item.get("beyondRange", [])
    assert isinstance(beyond, list)
    if name in beyond:
        return "timeout"
    value = item.get(f"{name}Seconds")
    assert value is None or isinstance(value, float | int)
    return latency(value)


def age(seconds: float) -> str:
    """At most two units: 5s, 3m10s, 2h05m, 4d07h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def since(stamp: str | None, now: float) -> str:
    """The age of an RFC 3339 time."""
    return "-" if not stamp else age(now - seconds_of(stamp))


def seconds_of(stamp: str) -> float:
    return datetime.fromisoformat(stamp).astimezone(UTC).timestamp()


def ratio(value: float | None) -> str:
    """A share as per cent; 100 % only when nothing is missing."""
    if value is None:
        return "-"
    if value < 1 and value > 0.9999:
        return "99.99%"
    return f"{value * 100:.0f}%" if value in {0, 1} else f"{value * 100:.2f}%"


def count(value: int) -> str:
    """Thousands apart by thin commas, as rows of numbers want it."""
    return f"{value:,}"


def why(item: dict[str, object]) -> str:
    """What a person wants to know of a probe that is not well: its reason, and what it said."""
    reason = str(item.get("reason") or "")
    message = str(item.get("message") or "")
    if not reason:
        return message
    return f"{reason}: {message}" if message and message != reason else reason
