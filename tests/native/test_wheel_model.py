"""The wheel beside a dictionary: a hypothesis state machine over arming, cancelling, ticking, jumping and partial batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meshkit_fastprobe._native.wheel import EXPIRY, Wheel

TIMERS = 12
REACH = 0xFFF00000
MS = 1_000_000

timers = st.integers(0, TIMERS - 1)
# As many around every power of two, so that all levels of the wheel and their borders are met.
distances = st.integers(0, 31).flatmap(lambda bits: st.integers(0, 1 << bits))
short_distances = st.integers(0, 11).flatmap(lambda bits: st.integers(0, 1 << bits))


@dataclass
class Timer:
    due: int
    """Ticks."""
    interval: int
    """Ticks; 0 is once."""
    passed_within_tick: bool = False
    """Armed for a time within the tick of now, which had passed: due at once, though its tick is not over."""
    ahead: bool = True
    """Its time had not passed when it was armed: it is handed out in order of due time."""


class Plain:
    """What the header promises, in the plainest words. Times in ns, as the wheel takes them."""

    def __init__(self, tick_ns: int, now_ns: int) -> None:
        self.tick_ns = tick_ns
        self.now_ns = now_ns
        self.armed: dict[int, Timer] = {}
        self.last_in_order = 0

    @property
    def now(self) -> int:
        return self.now_ns // self.tick_ns

    def ticks_up(self, ns: int) -> int:
        return -(-ns // self.tick_ns)

    def arm(self, timer: int, due_ns: int, interval_ns: int) -> bool:
        due, interval = self.ticks_up(due_ns), self.ticks_up(interval_ns)
        if due - self.now >= REACH or interval >= REACH:
            return False
        passed = due_ns <= self.now_ns
        self.armed[timer] = Timer(due, interval, passed_within_tick=passed and due > self.now, ahead=not passed)
        return True

    def overdue(self) -> set[int]:
        return {id_ for id_, timer in self.armed.items() if timer.due <= self.now or timer.passed_within_tick}

    def fire(self, id_: int) -> tuple[int, int]:
        """Due time as told, and periods missed."""
        timer = self.armed[id_]
        told_ns = min(timer.due * self.tick_ns, self.now_ns)
        if timer.ahead:
            assert timer.due >= self.last_in_order, "out of order"
            self.last_in_order = timer.due
        if not timer.interval:
            del self.armed[id_]
            return told_ns, 0
        missed = max(0, self.now - timer.due) // timer.interval
        self.armed[id_] = Timer(timer.due + (missed + 1) * timer.interval, timer.interval)
        return told_ns, min(missed, 2**32 - 1)


class WheelMachine(RuleBasedStateMachine):
    @initialize(
        tick_ns=st.sampled_from([1_000, MS, 1_234_567, 50 * MS]),
        start=st.sampled_from([0, 1, 1023, 1024, 2**32 - 2000, 2**32 - 1, 5 * 2**32 - 70_000, 2**33 + 2**28 - 5]),
        odd_ns=st.integers(0, 999),
    )
    def begin(self, tick_ns: int, start: int, odd_ns: int) -> None:
        now_ns = start * tick_ns + odd_ns
        self.plain = Plain(tick_ns, now_ns)
        self.wheel = Wheel(TIMERS, tick_ns=tick_ns, now_ns=now_ns)

    def arm_both(self, timer: int, due_ns: int, interval_ns: int) -> None:
        if self.plain.arm(timer, due_ns, interval_ns):
            self.wheel.arm(timer, due_ns, interval_ns)
        else:
            with pytest.raises(OverflowError, match="beyond the reach"):
                self.wheel.arm(timer, due_ns, interval_ns)

    def expire_both(self, now_ns: int, size: int) -> None:
        self.plain.now_ns = max(now_ns, self.plain.now_ns)
        out = np.zeros(size, EXPIRY)
        n = self.wheel.expire(now_ns, out)
        for expiry in out[:n]:
            id_ = int(expiry["id"])
            assert id_ in self.plain.overdue()
            assert self.plain.fire(id_) == (expiry["due_ns"], expiry["missed"])
        assert n == size or not self.plain.overdue()

    @rule(timer=timers, ahead=distances, odd=st.floats(0, 0.999), interval=st.none() | distances)
    def arm(self, timer: int, ahead: int, odd: float, interval: int | None) -> None:
        tick_ns = self.plain.tick_ns
        self.arm_both(timer, self.plain.now_ns + ahead * tick_ns + int(odd * tick_ns), (interval or 0) * tick_ns)

    @rule(timer=timers, ahead=short_distances, interval=short_distances)
    def arm_soon(self, timer: int, ahead: int, interval: int) -> None:
        self.arm_both(timer, (self.plain.now + ahead) * self.plain.tick_ns, interval * self.plain.tick_ns - interval // 2)

    @rule(timer=timers, behind=short_distances, odd=st.floats(0, 0.999), interval=st.none() | short_distances)
    def arm_in_the_past(self, timer: int, behind: int, odd: float, interval: int | None) -> None:
        tick_ns = self.plain.tick_ns
        due_ns = max(0, self.plain.now_ns - behind * tick_ns - int(odd * tick_ns))
        self.arm_both(timer, due_ns, (interval or 0) * tick_ns)

    @rule(timer=timers, beyond=st.integers(0, 2**34), of_interval=st.booleans())
    def arm_beyond_the_reach(self, timer: int, beyond: int, of_interval: bool) -> None:
        far_ns = (REACH + beyond) * self.plain.tick_ns
        self.arm_both(timer, self.plain.now_ns + (MS if of_interval else far_ns), far_ns if of_interval else 0)

    @rule(timer=timers, cancel_first=st.booleans(), in_between=st.none() | short_distances, interval=short_distances)
    def arm_again_for_the_same_time(self, timer: int, cancel_first: bool, in_between: int | None, interval: int) -> None:
        if timer not in self.plain.armed:
            return
        due_ns = self.plain.armed[timer].due * self.plain.tick_ns
        if in_between is not None:
            self.arm_soon(timer, in_between, 0)
        if cancel_first:
            self.cancel(timer)
        self.arm_both(timer, due_ns, interval * self.plain.tick_ns)

    @rule(timer=timers)
    def cancel(self, timer: int) -> None:
        self.wheel.cancel(timer)
        self.plain.armed.pop(timer, None)

    @rule(on_ns=st.integers(0, 5_000 * MS), size=st.sampled_from([0, 1, 2, 5, TIMERS + 1]))
    def expire(self, on_ns: int, size: int) -> None:
        self.expire_both(self.plain.now_ns + min(on_ns, 5_000 * self.plain.tick_ns), size)

    @rule(on=short_distances)
    def tick_by_tick(self, on: int) -> None:
        for _ in range(on):
            self.expire_both(self.plain.now_ns + self.plain.tick_ns, TIMERS + 1)

    @rule(on=st.integers(0, 22).flatmap(lambda bits: st.integers(0, 1 << bits)), size=st.sampled_from([1, 3, TIMERS + 1]))
    def jump(self, on: int, size: int) -> None:
        self.expire_both(self.plain.now_ns + on * self.plain.tick_ns, size)

    # Not on top of a backlog: what is late by more than the reach is told differently, and has a test of its own.
    @precondition(lambda self: not self.plain.overdue())
    @rule(on=st.integers(20, 31).flatmap(lambda bits: st.integers(0, 1 << bits)), size=st.sampled_from([1, 3, TIMERS + 1]))
    def leap(self, on: int, size: int) -> None:
        self.expire_both(self.plain.now_ns + on * self.plain.tick_ns, size)

    @rule(back_ns=st.integers(1, 10**12))
    def clock_runs_backwards(self, back_ns: int) -> None:
        self.expire_both(max(0, self.plain.now_ns - back_ns), TIMERS + 1)

    @rule(wakes=st.integers(1, 20))
    def sleep_until_next_due(self, wakes: int) -> None:
        for _ in range(wakes):
            wake_ns = self.wheel.next_due()
            if wake_ns < 0:
                return
            self.expire_both(wake_ns, TIMERS + 1)
            assert self.wheel.next_due() < 0 or self.wheel.next_due() > wake_ns, "no progress"

    @invariant()
    def is_sound(self) -> None:
        assert self.wheel.check() is None

    @invariant()
    def agrees(self) -> None:
        tick_ns = self.plain.tick_ns
        assert self.wheel.armed_count == len(self.plain.armed)
        for id_ in range(TIMERS):
            timer = self.plain.armed.get(id_)
            assert self.wheel.is_armed(id_) == (timer is not None)
            assert self.wheel.due(id_) == (timer.due * tick_ns if timer else -1)
            assert self.wheel.interval(id_) == (timer.interval * tick_ns if timer else 0)

    @invariant()
    def sleeps_no_longer_than_it_may(self) -> None:
        next_due = self.wheel.next_due()
        assert (next_due == -1) == (not self.plain.armed)
        if self.plain.overdue():
            assert next_due == self.plain.now_ns
        for timer in self.plain.armed.values():
            assert next_due <= max(timer.due * self.plain.tick_ns, self.plain.now_ns)


WheelMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
test_the_wheel_agrees_with_a_dictionary = WheelMachine.TestCase
