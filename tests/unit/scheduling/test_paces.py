"""Which interval is in force, on a real table and a clock of the test's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.model import Lane, ProbeOptions, Result, State
from meshkit_fastprobe.probes.callable import from_callable
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.scheduling.paces import STEADY_RUNS, Paces

S = 10**9
OPTIONS = ProbeOptions(interval_s=10.0, rise=2, fall=3, pending_interval_s=2.0, backoff_s=60.0)


class Probe:
    def __init__(self, options: ProbeOptions = OPTIONS) -> None:
        self.table = Table(4, 4)
        slot, generation = self.table.add(1, 10_000, 1000, 0, 0, Lane.TASK, options.rise, options.fall, 0)
        self.table.watch(slot, generation, True)
        self.paces = Paces(self.table)
        self.registration = Registration("a", from_callable(lambda: None), options, Lane.TASK, slot, generation, 1)
        self.by_slot: list[Registration | None] = [self.registration if at == slot else None for at in range(4)]
        self.now_ns = 0
        self.paced = 0

    def run(self, result: Result, after_s: float = 1.0) -> int:
        """How much ingest told of it."""
        self.now_ns += int(after_s * S)
        record, told = np.zeros(1, layout.RECORD), np.zeros(1, layout.TRANSITION)
        record["slot"], record["generation"] = self.registration.slot, self.registration.generation
        record["started_ns"], record["result"] = self.now_ns, result
        n = self.table.ingest(record, 1, told)
        if n and self.paces.moved(self.registration, self.now_ns):
            self.paced += 1
            self._configure()
        return n

    def _configure(self) -> None:
        one, options = self.registration, self.registration.options
        every_ms = round(self.interval_s * 1000)
        self.table.configure(one.slot, one.generation, 1, every_ms, 1000, 0, 0, Lane.TASK, options.rise, options.fall)

    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)
        self.paces.tick(self.now_ns, self.by_slot)

    @property
    def interval_s(self) -> float:
        return self.paces.interval_s(self.registration)

    @property
    def state(self) -> State:
        return State(int(self.table.column("state")[self.registration.slot]))


def test_from_the_first_bad_result_on_until_the_verdict_it_is_looked_at_sooner():
    probe = Probe()
    seen = []
    for result in (Result.OK, Result.FAIL, Result.TIMEOUT, Result.FAIL, Result.OK, Result.OK, Result.OK):
        probe.run(result)
        seen.append((probe.state.name, probe.interval_s))
    assert seen == [
        ("HEALTHY", 10.0),
        ("HEALTHY", 2.0),
        ("HEALTHY", 2.0),
        ("UNHEALTHY", 10.0),
        ("UNHEALTHY", 2.0),
        ("HEALTHY", 10.0),
        ("HEALTHY", 10.0),
    ]


def test_a_blip_that_passes_is_told_twice_and_then_no_more():
    probe = Probe()
    results = (Result.OK, Result.OK, Result.FAIL, Result.FAIL, Result.OK, Result.OK)
    assert [probe.run(result) for result in results] == [1, 0, 1, 0, 1, 0]
    assert probe.interval_s == 10.0


def test_a_backoff_doubles_after_as_many_runs_at_each_interval_up_to_its_bound():
    probe = Probe()
    probe.run(Result.FAIL)  # the first result decides alone
    for interval_s in (10.0, 20.0, 40.0):
        assert probe.interval_s == interval_s
        probe.wait(STEADY_RUNS * interval_s - 1)
        assert probe.interval_s == interval_s
        probe.wait(1)
    assert probe.interval_s == 60.0
    probe.wait(1e6)
    assert probe.interval_s == 60.0


def test_a_pass_ends_the_backoff_and_a_failure_after_it_begins_it_anew():
    probe = Probe()
    probe.run(Result.FAIL)  # the first result decides alone
    probe.wait(101)
    assert probe.interval_s == 20.0
    probe.run(Result.OK)
    assert probe.interval_s == 2.0
    probe.run(Result.FAIL)
    assert probe.interval_s == 10.0
    probe.wait(STEADY_RUNS * 10 - 5)
    assert probe.interval_s == 10.0
    probe.wait(6)
    assert probe.interval_s == 20.0


def test_moves_that_call_for_no_other_interval_are_passed_over():
    probe = Probe(ProbeOptions(interval_s=10.0, rise=2, fall=3, unhealthy_interval_s=10.0))
    for _ in range(5):
        probe.run(Result.FAIL)
        probe.run(Result.OK)
    assert probe.paced == 0


@pytest.mark.parametrize("gone", [True, False])
def test_what_is_forgotten_is_not_backed_off(gone: bool):
    probe = Probe()
    probe.run(Result.FAIL)  # the first result decides alone
    probe.paces.forget(probe.registration.slot)
    if gone:
        probe.by_slot[probe.registration.slot] = None
    assert probe.paces.tick(10**15, probe.by_slot) == []


@given(st.lists(st.sampled_from(Result), max_size=60))
def test_the_interval_that_was_told_last_is_the_one_in_force(results):
    """Whoever asks only when ingest tells something misses nothing."""
    probe = Probe(ProbeOptions(interval_s=10.0, unhealthy_interval_s=5.0, rise=2, fall=3, pending_interval_s=2.0))
    believed_s = probe.interval_s
    for result in results:
        if probe.run(result):
            believed_s = probe.interval_s
        assert believed_s == probe.interval_s
