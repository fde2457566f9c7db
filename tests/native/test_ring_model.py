"""The ring beside a deque, and across two Python threads."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from meshkit_fastprobe._native.layout import RECORD
from meshkit_fastprobe._native.ring import Ring


class RingMachine(RuleBasedStateMachine):
    @initialize(bits=st.integers(0, 5))
    def begin(self, bits: int) -> None:
        self.ring = Ring(1 << bits, RECORD)
        self.plain: deque[int] = deque()
        self.sent = 0
        self.dropped = 0

    @rule(n=st.integers(0, 70), count_drops=st.booleans())
    def push(self, n: int, count_drops: bool) -> None:
        batch = np.zeros(n, RECORD)
        batch["started_ns"] = np.arange(self.sent, self.sent + n)
        room = self.ring.slots - len(self.plain)

        taken = self.ring.push(batch, count_drops=count_drops)

        assert taken == min(n, room)
        self.plain.extend(range(self.sent, self.sent + taken))
        self.sent += taken
        self.dropped += (n - taken) * count_drops

    @rule(n=st.integers(0, 70))
    def pop(self, n: int) -> None:
        out = np.zeros(n, RECORD)
        taken = self.ring.pop(out)
        assert taken == min(n, len(self.plain))
        assert out["started_ns"][:taken].tolist() == [self.plain.popleft() for _ in range(taken)]
        assert not out["started_ns"][taken:].any()

    @invariant()
    def sound(self) -> None:
        assert self.ring.check() is None
        assert self.ring.size == len(self.plain)
        assert self.ring.dropped == self.dropped


RingMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRing = RingMachine.TestCase


def test_two_threads_pass_a_sequence_through() -> None:
    ring, total = Ring(64, np.uint64), 50_000

    def produce() -> None:
        sent = 0
        while sent < total:
            sent += ring.push(np.arange(sent, min(sent + 37, total), dtype=np.uint64), count_drops=False)

    producer = threading.Thread(target=produce)
    producer.start()
    out, received = np.zeros(48, np.uint64), 0
    while received < total:
        n = ring.pop(out)
        assert (out[:n] == np.arange(received, received + n, dtype=np.uint64)).all()
        received += n
    producer.join()
    assert ring.size == 0
    assert ring.dropped == 0


@pytest.mark.parametrize("slots", [0, 3, 1000])
def test_slots_that_are_no_power_of_two_are_refused(slots: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Ring(slots, np.uint64)


def test_a_batch_of_another_dtype_or_shape_is_refused() -> None:
    ring = Ring(8, np.uint32)
    for batch in (np.zeros(2, np.uint64), np.zeros((2, 2), np.uint32), np.zeros(8, np.uint32)[::2]):
        with pytest.raises(ValueError, match="contiguous"):
            ring.push(batch)


def test_a_read_only_array_is_not_filled() -> None:
    out = np.zeros(2, np.uint32)
    out.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        Ring(8, np.uint32).pop(out)


def test_objects_do_not_go_into_a_ring() -> None:
    with pytest.raises(ValueError, match="plain data"):
        Ring(8, np.object_)
