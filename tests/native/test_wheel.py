"""What the Python face of the wheel adds: conversions, and errors with their reasons. Its behaviour: test_wheel_model.py."""

import numpy as np
import pytest

from meshkit_fastprobe._native.wheel import EXPIRY, Wheel

MS = 1_000_000


def test_expiries_arrive_as_records() -> None:
    wheel = Wheel(2, now_ns=5 * MS)
    wheel.arm(1, 7 * MS, 2 * MS)
    out = np.zeros(4, EXPIRY)
    assert wheel.expire(12 * MS, out) == 1
    assert out[0].item() == (1, 2, 7 * MS)
    assert wheel.due(1) == 13 * MS


def test_a_record_is_as_large_as_the_core_writes_it() -> None:
    assert EXPIRY.itemsize == 16


def test_never_is_minus_one() -> None:
    wheel = Wheel(1)
    assert wheel.due(0) == -1
    assert wheel.next_due() == -1


def test_an_empty_batch_expires_nothing() -> None:
    wheel = Wheel(1)
    wheel.arm(0, 0)
    assert wheel.expire(MS, np.zeros(0, EXPIRY)) == 0
    assert wheel.armed_count == 1


def test_memory_is_counted_as_it_is_touched() -> None:
    wheel = Wheel(1_000_000)
    before = wheel.nbytes
    wheel.arm(999_999, MS)
    assert before < 20_000
    assert wheel.nbytes - before >= 8_000_000


@pytest.mark.parametrize("timer", [2, 2**32 - 1])
@pytest.mark.parametrize("method", ["cancel", "is_armed", "due", "interval"])
def test_an_unknown_timer_is_an_index_error(method: str, timer: int) -> None:
    with pytest.raises(IndexError, match=rf"timer {timer} of a wheel of 2"):
        getattr(Wheel(2), method)(timer)


@pytest.mark.parametrize(("capacity", "tick_ns"), [(0, MS), (1, 999)])
def test_an_impossible_wheel_is_a_value_error(capacity: int, tick_ns: int) -> None:
    with pytest.raises(ValueError, match="at least 1 timer and 1000 ns are needed"):
        Wheel(capacity, tick_ns=tick_ns)


def test_a_time_beyond_the_reach_is_an_overflow_error() -> None:
    with pytest.raises(OverflowError, match="timer 0 due at 0 ns, every 4293918720000000 ns: beyond the reach"):
        Wheel(1).arm(0, 0, 0xFFF00000 * MS)


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        (np.zeros(4), "an array of EXPIRY"),
        (np.zeros(8, EXPIRY)[::2], "contiguous"),
        (np.broadcast_to(np.zeros(1, EXPIRY), 1), "read-only"),
    ],
)
def test_expiries_need_a_plain_writable_array(out: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Wheel(1).expire(0, out)
