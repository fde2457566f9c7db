"""Durations are read as people write them, and written as they are read."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (5, 5.0),
        (0.25, 0.25),
        ("250ms", 0.25),
        ("300ms", 0.3),
        ("5s", 5.0),
        ("1.5s", 1.5),
        ("1m", 60.0),
        ("1h30m", 5400.0),
        ("1d2h3m4s5ms6us", 93784.005006),
        ("100us", 0.0001),
        ("0s", 0.0),
        (" 5s ", 5.0),
        ("1m1ms", 60.001),
    ],
)
def test_usual_durations_are_read(value: float | str, seconds: float) -> None:
    assert parse_duration("here", value) == seconds


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("5", "has no unit"),
        ("", "is not a duration"),
        ("s", "is not a duration"),
        ("5 s", "is not a duration"),
        ("5sec", "is not a duration"),
        ("5S", "is not a duration"),
        ("30m1h", "is not a duration"),
        ("1s1s", "is not a duration"),
        ("1e3s", "is not a duration"),
        (".5s", "is not a duration"),
        ("5.s", "is not a duration"),
        ("\u0665s", "is not a duration"),
        ("1" * 100 + "s", "is not a duration"),
        ("1" * 100, "is not a duration"),
        ("-5s", "is negative"),
        (-1, "is negative"),
        (-0.001, "is negative"),
        (True, "is not a duration"),
        (None, "is not a duration"),
        ([5], "is not a duration"),
        (math.nan, "not a finite duration"),
        (math.inf, "not a finite duration"),
        (10**400, "not a finite duration"),
    ],
)
def test_what_is_no_duration_is_refused(value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_duration("probe.interval", value)
    assert caught.value.where == "probe.interval"
    assert caught.value.fix
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (5.0, "5s"),
        (1.5, "1.5s"),
        (60, "1m"),
        (5400.0, "1h30m"),
        (86400.0, "1d"),
        (90061, "1d1h1m1s"),
        (1e-4, "100us"),
    ],
)
def test_durations_are_written_as_people_write_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@example(5.960464477539063e-08)
@given(st.floats(1e-9, 30 * 86400) | st.integers(0, 30 * 86400) | st.floats(1e-9, 1e-5))
def test_what_is_written_is_read_back_as_the_same_float(seconds: float) -> None:
    text = format_duration(seconds)
    assert parse_duration("here", text) == seconds
    assert "e" not in text


@given(st.text(max_size=30) | st.text("0123456789.dhmsu", max_size=30))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration("here", text)
    except ConfigError:
        return
    assert seconds >= 0
    assert math.isfinite(seconds)
