"""The engine's slots beside plain Python: a run is never early, never doubled, never of a probe that is gone.

Slots of the task lane on a clock of the test's own: what the native lane adds is sockets, which other tests bring.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.engine import Engine
from meshkit_fastprobe.model import Lane, Reason

SLOTS = 5
MS = 1_000_000
NEVER = -1
MOST_SKIPPED = 65_535
FOR_NEXT = 1

slots = st.integers(0, SLOTS - 1)
spans_ms = st.integers(1, 6) | st.integers(1, 3_000) | st.integers(1, 200_000)

Told = tuple[int, int, int, int, int, int]
"""slot, generation, result, reason, detail, and of a DUE the moment it was due in ms."""


@dataclass
class Slot:
    """Times in ms; None is never."""

    generation: int
    interval: int
    timeout: int
    due: int | None
    first: int | None = None
    running: bool = False
    deadline: int | None = None
    owed: int | None = None
    """When the run was due that starts as soon as the one in flight has ended."""
    since: int = 0
    """When the last run was due that began, or is owed."""
    deferred: int | None = None
    """Dues before this pass without a run."""
    hastened: bool = False
    asked: bool = False

    def next_due(self, now: int) -> int | None:
        if self.due is None or self.due > now:
            return self.due
        return self.due + ((now - self.due) // self.interval + 1) * self.interval


class EngineMachine(RuleBasedStateMachine):
    @initialize(now=st.integers(1, 10**9))
    def begin(self, now: int) -> None:
        self.now = now
        self.engine = Engine(capacity=SLOTS, connections=8, notify_ns=0, manual_clock=True, now_ns=now * MS)
        self.slots: dict[int, Slot] = {}
        self.generation = 0
        self.stale = 0
        self.expected: list[Told] = []

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.stop()

    # -- commands --------------------------------------------------------------------------------------------

    @rule(slot=slots, due=spans_ms, interval=spans_ms, timeout=spans_ms, first=st.none() | spans_ms, paused=st.booleans())
    def add(self, slot: int, due: int, interval: int, timeout: int, first: int | None, paused: bool) -> None:
        """In the place of another that was not removed, too."""
        self.generation += 1
        begins = None if first is None or first >= due or paused else self.now + first
        self.slots[slot] = Slot(self.generation, interval, timeout, None if paused else self.now + due, begins)
        self.engine.add(
            slot,
            self.generation,
            Lane.TASK,
            NEVER if paused else (self.now + due) * MS,
            interval * MS,
            timeout * MS,
            first_ns=NEVER if begins is None else begins * MS,
        )

    @rule(slot=slots, old=st.integers(0, 1))
    def remove(self, slot: int, old: int) -> None:
        self.engine.remove(slot, self.named(slot, old))
        if self.current(slot, old):
            del self.slots[slot]

    @rule(slot=slots, old=st.integers(0, 1))
    def run(self, slot: int, old: int) -> None:
        self.engine.run(slot, self.named(slot, old))
        if not self.current(slot, old):
            return
        probe = self.slots[slot]
        if probe.running:
            self.skip(slot, Reason.OVERLAP, 1)
        else:
            probe.first = None
            probe.asked = True
            self.start(slot, self.now)

    @rule(slot=slots, old=st.integers(0, 1), until=st.integers(-10, 10) | spans_ms)
    def defer(self, slot: int, old: int, until: int) -> None:
        """A real call has passed."""
        at = max(0, self.now + until)
        self.engine.defer(slot, self.named(slot, old), at * MS)
        if not self.current(slot, old):
            return
        probe = self.slots[slot]
        if at <= self.now or probe.due is None:
            return
        if not probe.asked and not probe.hastened and (probe.first is not None or probe.owed is not None):
            probe.first = probe.owed = None
            self.skip(slot, Reason.DEFERRED, 1)
        probe.deferred = at

    @rule(slot=slots, old=st.integers(0, 1))
    def hasten(self, slot: int, old: int) -> None:
        """A real call has failed."""
        self.engine.hasten(slot, self.named(slot, old))
        if not self.current(slot, old):
            return
        probe = self.slots[slot]
        probe.deferred = None
        if probe.hastened or probe.due is None:
            return
        probe.first = None
        if not probe.running:
            probe.hastened = True
            self.start(slot, self.now)

    @rule(slot=slots, old=st.integers(0, 1))
    def finish(self, slot: int, old: int) -> None:
        self.engine.finish(slot, self.named(slot, old))
        if self.current(slot, old) and self.slots[slot].running:
            probe = self.slots[slot]
            probe.running, probe.deadline, owed, probe.owed = False, None, probe.owed, None
            probe.asked = False
            if owed is not None:
                self.start(slot, owed)

    @rule(slot=slots, old=st.integers(0, 1), due=st.none() | spans_ms, interval=spans_ms, timeout=spans_ms)
    def schedule(self, slot: int, old: int, due: int | None, interval: int, timeout: int) -> None:
        at = None if due is None else self.now + due
        self.engine.schedule(slot, self.named(slot, old), NEVER if at is None else at * MS, interval * MS, timeout * MS)
        if not self.current(slot, old):
            return
        probe = self.slots[slot]
        probe.due, probe.interval, probe.timeout = at, interval, timeout
        if at is None:
            probe.first = probe.owed = probe.deferred = None
            probe.hastened = False

    @rule(slot=slots, old=st.integers(0, 1), after=st.none() | spans_ms)
    def put_off(self, slot: int, old: int, after: int | None) -> None:
        at = None if after is None else self.now + after
        self.engine.deadline(slot, self.named(slot, old), NEVER if at is None else at * MS)
        if self.current(slot, old) and self.slots[slot].running:
            self.slots[slot].deadline = at

    def named(self, slot: int, old: int) -> int:
        probe = self.slots.get(slot)
        return probe.generation + old if probe else self.generation + 1

    def current(self, slot: int, old: int) -> bool:
        known = slot in self.slots and not old
        self.stale += not known
        return known

    # -- time ------------------------------------------------------------------------------------------------

    @rule(ms=st.integers(0, 8) | spans_ms)
    def pass_time(self, ms: int) -> None:
        self.settle()
        self.now += ms
        due = [(probe.first, 0, slot) for slot, probe in self.slots.items() if probe.first is not None]
        due += [(probe.due, 1, slot) for slot, probe in self.slots.items() if probe.due is not None]
        ended = [slot for slot, probe in self.slots.items() if probe.deadline is not None and probe.deadline <= self.now]
        for slot in ended:
            self.tell(slot, layout.EVENT_DEADLINE, Reason.TIMEOUT, 0)
            self.slots[slot].deadline = None
        for at, periodic, slot in sorted(due):
            if at > self.now:
                break
            if periodic:
                self.expire(slot, at)
            else:
                self.slots[slot].first = None
                self.start(slot, at)
        self.settle()

    @precondition(lambda self: any(probe.due is not None for probe in self.slots.values()))
    @rule()
    def pass_time_to_the_next_due(self) -> None:
        self.pass_time(max(min(probe.due for probe in self.slots.values() if probe.due is not None) - self.now, 0))

    def expire(self, slot: int, at: int) -> None:
        probe = self.slots[slot]
        missed = (self.now - at) // probe.interval
        probe.due = at + (missed + 1) * probe.interval
        if missed:
            self.skip(slot, Reason.LATE, min(missed, MOST_SKIPPED))
        probe.hastened = False
        if probe.deferred is not None and at < probe.deferred:
            self.skip(slot, Reason.DEFERRED, 1)
            return
        probe.deferred = None
        if probe.running:
            self.meet(slot, at)
        elif probe.first is not None:  # a run that is about to start counts as one in flight
            self.skip(slot, Reason.OVERLAP, 1)
        else:
            self.start(slot, at)

    def meet(self, slot: int, at: int) -> None:
        """Due while one is in flight: it waits for that one if there is little left of it, an eighth of its timeout at most.

        One without a deadline was told of it: just now, or it hangs.
        """
        probe = self.slots[slot]
        was_owed = probe.owed is not None
        if was_owed:
            self.skip(slot, Reason.OVERLAP, 1)
            probe.owed = None
        if probe.deadline is not None:
            just_now = (probe.deadline - self.now - 1) * 8 <= probe.timeout
        else:
            just_now = not was_owed and at >= probe.since and (at - probe.since - probe.timeout - 1) * 8 <= probe.timeout
        if not just_now:
            self.skip(slot, Reason.OVERLAP, 1)
            return
        probe.owed = probe.since = at
        if probe.deadline is not None:
            self.tell(slot, layout.EVENT_DEADLINE, Reason.TIMEOUT, FOR_NEXT)

    def start(self, slot: int, due: int) -> None:
        probe = self.slots[slot]
        probe.running, probe.deadline, probe.since = True, self.now + probe.timeout, due
        if probe.deadline == probe.next_due(self.now):
            probe.deadline += 1
        self.tell(slot, layout.EVENT_DUE, Reason.NONE, 0, due)

    def skip(self, slot: int, reason: Reason, runs: int) -> None:
        self.tell(slot, layout.EVENT_SKIPPED, reason, runs)

    def tell(self, slot: int, result: int, reason: Reason, detail: int, due: int = 0) -> None:
        self.expected.append((slot, self.slots[slot].generation, result, reason, detail, due))

    # -- what both must agree on -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Post the commands and step until nothing is left to do now; then both have told the same."""
        assert self.engine.flush() == 0
        while self.engine.step(self.now * MS) == 0:
            pass
        out = np.zeros(256, layout.RECORD)
        told = [
            (slot, generation, result, reason, detail, started_ns // MS if result == layout.EVENT_DUE else 0)
            for slot, generation, started_ns, _latency, _lag, detail, result, reason in out[: self.engine.drain(out)].tolist()
        ]
        assert Counter(told) == Counter(self.expected)
        self.expected.clear()

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "engine"):
            self.settle()
            assert self.engine.check() is None
            assert self.engine.stats()["commands_stale"] == self.stale


EngineMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
test_the_engine_agrees_with_plain_python = EngineMachine.TestCase
