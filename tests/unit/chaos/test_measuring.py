"""Detection and recovery from the sending of runs: what a probe saw when, on a clock that nothing jumps."""

from __future__ import annotations

import numpy as np
import pytest

from meshkit_fastprobe.chaos.measuring import Observer
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.model import Result, State
from meshkit_fastprobe.probes.catalog import Groups

NEVER = float("nan")


class World:
    """Probes with their last run; looks like a snapshot at `now`. wall_s: how far the wall clock is from ours."""

    def __init__(self, *groups):
        self.n = len(groups)
        self.base_groups = Groups()
        number = {group: self.base_groups.number((*group.split("/"), "tcp", ())) for group in groups}
        self.now, self.wall_s = 100.0, 1e9
        self.began = np.full(self.n, NEVER)
        self.columns = {
            "slot": np.arange(self.n, dtype=np.uint32),
            "group": np.array([number[group] for group in groups]),
            "interval_s": np.full(self.n, 1.0),
            "state": np.full(self.n, int(State.HEALTHY)),
            "last_result": np.full(self.n, int(Result.OK), np.uint8),
        }

    @property
    def taken_at(self):
        return self.now + self.wall_s

    def select(self, **_):
        self.columns["last_run"] = self.began + self.wall_s
        return np.arange(self.n)

    def ran(self, at, result, probe=0, state=None):
        self.began[probe] = at
        self.columns["last_result"][probe] = result
        if state is not None:
            self.columns["state"][probe] = state

    def look(self, observer, now):
        self.now = now
        return observer.look(self, now)


def watched(world):
    observer = Observer(Selector())
    world.look(observer, world.now)
    return observer


def story(world, observer, *, probe=0, at=100.0):
    """Injected at `at`, seen bad 0.4 s later, undone 2 s after the injection, well from 0.7 s after that on."""
    observer.injected = at
    for began, result, state in [
        (at + 0.4, Result.FAIL, State.HEALTHY),
        (at + 1.4, Result.FAIL, State.UNHEALTHY),
    ]:
        world.ran(began, result, probe, state)
        world.look(observer, began + 0.1)
    observer.reverted = at + 2.0
    for began, state in [(at + 2.7, State.UNHEALTHY), (at + 3.7, State.HEALTHY)]:
        world.ran(began, Result.OK, probe, state)
        world.look(observer, began + 0.1)


def test_detection_and_recovery_count_from_the_sending_of_runs():
    world = World("eu/orders")
    observer = watched(world)
    story(world, observer)
    [measure] = observer.measures()
    assert (measure.group, measure.probes, measure.hurt, measure.samples) == ("eu/orders", 1, 1, 4)
    assert measure.detection_s == pytest.approx(0.4)
    assert measure.recovery_s == pytest.approx(0.7)
    assert measure.error_s == 1.0


def test_good_runs_that_did_not_last_are_no_recovery():
    world = World("eu/orders")
    observer = watched(world)
    observer.injected = 100.0
    world.ran(100.5, Result.FAIL, state=State.UNHEALTHY)
    world.look(observer, 100.6)
    observer.reverted = 101.0
    for began, result in [(101.5, Result.OK), (102.5, Result.FAIL), (103.5, Result.OK)]:
        world.ran(began, result)
        world.look(observer, began + 0.1)
        assert not observer.recovered
    world.ran(104.5, Result.OK, state=State.HEALTHY)
    world.look(observer, 104.6)
    assert observer.recovered
    assert observer.measures()[0].recovery_s == pytest.approx(2.5)


def test_a_run_that_began_before_the_fault_says_nothing_of_it():
    world = World("eu/orders")
    observer = watched(world)
    observer.injected = 100.0
    world.ran(99.9, Result.TIMEOUT)
    world.look(observer, 100.9)
    assert not observer.hurt
    assert observer.measures()[0].samples == 0


def test_a_run_is_counted_once_however_often_one_looks():
    world = World("eu/orders")
    observer = watched(world)
    observer.injected = 100.0
    world.ran(100.5, Result.OK)
    for now in (100.6, 100.8, 101.0):
        world.look(observer, now)
    assert observer.measures()[0].samples == 1


def test_a_run_is_counted_once_also_when_something_happens_between_two_looks_at_a_clock():
    world = World("eu/orders")
    observer = watched(world)
    observer.injected = 100.0
    world.ran(100.5, Result.FAIL)
    for held_s in (0.0, 0.002, 0.0005, 0.003):
        world.wall_s = 1e9 + held_s
        world.began[0] = 100.5 - held_s
        world.look(observer, 101.0)
    assert observer.measures()[0].samples == 1


def test_each_group_has_its_own_figures():
    world = World("eu/orders", "eu/pay", "eu/orders")
    observer = watched(world)
    story(world, observer, probe=2)
    orders, pay = observer.measures()
    assert (orders.group, orders.probes, orders.hurt) == ("eu/orders", 2, 1)
    assert (pay.group, pay.hurt, pay.detection_s, pay.recovery_s) == ("eu/pay", 0, None, None)


def test_a_wall_clock_that_jumps_moves_no_figure():
    world = World("eu/orders")
    observer = watched(world)
    observer.injected = 100.0
    world.ran(100.4, Result.FAIL, state=State.UNHEALTHY)
    world.look(observer, 100.5)
    world.wall_s += 3600
    world.look(observer, 100.6)
    observer.reverted = 101.0
    world.wall_s -= 7200
    world.ran(101.4, Result.OK, state=State.HEALTHY)
    world.look(observer, 101.5)
    [measure] = observer.measures()
    assert measure.samples == 2
    assert measure.recovery_s == pytest.approx(0.4)


def test_one_looks_at_least_twice_in_the_shortest_interval():
    world = World("eu/orders", "eu/pay")
    world.columns["interval_s"][1] = 0.2
    assert world.look(Observer(Selector()), 100.0) == pytest.approx(0.1)


def test_a_probe_that_has_never_run_keeps_nobody_waiting_for_its_recovery():
    world = World("eu/orders", "eu/orders")
    observer = watched(world)
    story(world, observer)
    assert observer.recovered
    assert not observer.looked
