"""The timer wheel, one operation at a time from Python: watch trends here, compare peers in scenarios/."""

from __future__ import annotations

import numpy as np
import pytest

from meshkit_fastprobe._native.wheel import EXPIRY, Wheel

TIMERS = 100_000
SECOND = 1_000_000_000


@pytest.fixture
def wheel() -> Wheel:
    """Periodic timers of 1 to 60 s, evenly phased."""
    wheel = Wheel(TIMERS)
    for timer in range(TIMERS):
        interval_ns = (1 + timer % 60) * SECOND
        wheel.arm(timer, 1 + timer * interval_ns // TIMERS, interval_ns)
    return wheel


def test_arm_and_cancel(benchmark, wheel):
    def arm_and_cancel():
        wheel.arm(7, 30 * SECOND, 0)
        wheel.cancel(7)

    benchmark(arm_and_cancel)
    assert not wheel.is_armed(7)


def test_expire_ten_milliseconds_of_periodic_timers(benchmark, wheel):
    out = np.zeros(TIMERS, EXPIRY)
    now_ns = 0

    def turn():
        nonlocal now_ns
        now_ns += SECOND // 100
        return wheel.expire(now_ns, out)

    benchmark(turn)
    assert wheel.armed_count == TIMERS


def test_next_due_of_a_full_wheel(benchmark, wheel):
    assert benchmark(wheel.next_due) > 0
