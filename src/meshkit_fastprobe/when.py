"""Windows of time, as people write them down: once, or every week."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Once(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """From `start` until just before `end`; both know their time zone."""

    start: datetime
    end: datetime


class Weekly(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """On each of these days ("mon" ... "sun") from `at` ("02:00") on, by the clocks of the time zone, for duration_s.

    Where clocks skip `at`, it begins when they would have shown it otherwise; where they show it twice, at the first time only.
    """

    days: tuple[str, ...]
    at: str
    duration_s: float
    time_zone: str = "UTC"
