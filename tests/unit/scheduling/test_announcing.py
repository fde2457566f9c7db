"""What is told of a tree of dependencies: web depends on api, api on db."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe import Lane, Maintenance, Once, ProbeOptions, Reason, Result, State
from meshkit_fastprobe.aggregation.flapping import Flaps
from meshkit_fastprobe.aggregation.maintenance import Upkeep
from meshkit_fastprobe.probes.callable import from_callable
from meshkit_fastprobe.probes.catalog import Catalog, Registration
from meshkit_fastprobe.scheduling.announcing import Announcer, Move

UP, DOWN = State.HEALTHY, State.UNHEALTHY


class World:
    def __init__(self, *, flap_damping: bool = False, **depends_on: tuple[str, ...]) -> None:
        self.catalog = Catalog(16)
        self.states = np.full(16, UP, np.uint8)
        self.told: list[tuple[str, State, State]] = []
        self.flaps = Flaps(16)
        self.now_s = 0
        self.wall_ahead_s = 0.0
        self.upkeep = Upkeep(lambda: self.now_s + self.wall_ahead_s)
        self.announcer = Announcer(self.catalog, self.states, self.flaps, self.upkeep, self._announce)
        for slot, (name, above) in enumerate(depends_on.items()):
            options = ProbeOptions(depends_on=above, interval_s=1.0, flap_damping=flap_damping)
            self.catalog.put(Registration(name, from_callable(lambda: None), options, Lane.THREAD, slot, 1, 0))

    def _announce(self, registration: Registration, move: Move) -> None:
        self.told.append((registration.name, move.before, move.after))

    def move(self, name: str, after: State) -> None:
        registration = self.catalog[name]
        before = State(self.states[registration.slot])
        if before is not after:
            self.states[registration.slot] = after
            self.announcer.take(registration, Move(self.now_s * 10**9, before, after, Reason.NONE, Result.OK, 0))

    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        self.announcer.tick(self.now_s * 10**9)

    def maintain(self, begin_s: int, end_s: int, name: str = "*") -> None:
        start, end = (datetime.fromtimestamp(moment_s, UTC) for moment_s in (begin_s, end_s))
        self.upkeep.add(Maintenance(reason="work", when=Once(start=start, end=end), name=name))

    def news(self) -> list[Any]:
        told, self.told = self.told, []
        return told


@pytest.fixture
def world() -> World:
    return World(db=(), api=("db",), web=("api",))


def test_what_depends_on_nothing_unhealthy_is_told_at_once(world: World):
    world.move("web", DOWN)
    world.move("api", DOWN)
    world.move("api", UP)
    assert world.news() == [("web", UP, DOWN), ("api", UP, DOWN), ("api", DOWN, UP)]


def test_the_consequences_of_an_outage_are_held_back_however_far_below(world: World):
    for name in ("db", "api", "web"):
        world.move(name, DOWN)
    assert world.news() == [("db", UP, DOWN)]
    assert world.announcer.held == 2


def test_consequences_that_end_with_their_cause_are_never_told(world: World):
    for state in (DOWN, UP):
        for name in ("db", "api", "web"):
            world.move(name, state)
    # db came back first: by then api and web were still unhealthy, and that was news.
    assert world.news() == [
        ("db", UP, DOWN),
        ("db", DOWN, UP),
        ("api", UP, DOWN),
        ("api", DOWN, UP),
        ("web", UP, DOWN),
        ("web", DOWN, UP),
    ]


def test_a_child_that_recovered_meanwhile_is_not_mentioned(world: World):
    for name, state in (("db", DOWN), ("api", DOWN), ("api", UP), ("db", UP)):
        world.move(name, state)
    assert world.news() == [("db", UP, DOWN), ("db", DOWN, UP)]
    assert world.announcer.held == 0


def test_what_stays_bad_after_its_cause_is_gone_is_told_once(world: World):
    for name, state in (("db", DOWN), ("api", DOWN), ("api", State.DEGRADED), ("api", DOWN), ("db", UP)):
        world.move(name, state)
    assert world.news() == [("db", UP, DOWN), ("db", DOWN, UP), ("api", UP, DOWN)]


def test_a_child_announced_before_its_parent_fell_recovers_silently_until_the_parent_does(world: World):
    for name, state in (("api", DOWN), ("db", DOWN), ("api", UP)):
        world.move(name, state)
    assert world.news() == [("api", UP, DOWN), ("db", UP, DOWN)]
    world.move("db", UP)
    assert world.news() == [("db", DOWN, UP), ("api", DOWN, UP)]


def test_taking_the_unhealthy_parent_away_ends_the_silence(world: World):
    world.move("db", DOWN)
    world.move("api", DOWN)
    world.catalog.drop(world.catalog["db"])
    world.announcer.settle()
    assert world.news() == [("db", UP, DOWN), ("api", UP, DOWN)]


def test_of_a_probe_that_is_gone_nothing_is_told(world: World):
    world.move("db", DOWN)
    world.move("api", DOWN)
    world.catalog.drop(world.catalog["api"])
    world.announcer.settle()
    assert world.announcer.held == 0
    world.move("db", UP)
    assert world.news() == [("db", UP, DOWN), ("db", DOWN, UP)]


def test_what_a_batch_moved_together_is_told_in_order(world: World):
    """The table knows all of a batch before the first move of it is looked at."""
    world.move("db", DOWN)
    world.move("api", DOWN)
    assert world.news() == [("db", UP, DOWN)]
    world.states[[world.catalog["db"].slot, world.catalog["api"].slot]] = UP
    for name in ("db", "api"):
        world.announcer.take(world.catalog[name], Move(0, DOWN, UP, Reason.NONE, Result.OK, 0))
    assert world.news() == [("db", DOWN, UP)]
    assert world.announcer.held == 0


def flap(world: World, name: str, changes: int) -> None:
    for number in range(changes):
        world.now_s += 1
        world.move(name, UP if number % 2 else DOWN)


def test_a_probe_that_begins_to_flap_is_told_of_and_then_no_more():
    world = World(flap_damping=True, db=())
    flap(world, "db", 9)
    assert world.news() == [("db", UP, DOWN), ("db", DOWN, UP)] * 2 + [("db", UP, DOWN)]
    world.now_s += 30
    world.announcer.tick(world.now_s * 10**9)
    assert world.news() == []  # it rests as it was announced
    world.move("db", UP)
    assert world.news() == [("db", DOWN, UP)]


def test_one_that_comes_to_rest_in_another_state_says_so():
    world = World(flap_damping=True, db=())
    flap(world, "db", 10)
    world.news()
    world.now_s += 30
    world.announcer.tick(world.now_s * 10**9)
    assert world.news() == [("db", DOWN, UP)]
    assert world.announcer.held == 0


def test_without_damping_every_change_is_told(world: World):
    flap(world, "db", 12)
    assert len(world.news()) == 12


def test_the_change_that_begins_flapping_waits_for_the_cause_above_it():
    world = World(flap_damping=True, db=(), api=("db",))
    world.move("db", DOWN)
    flap(world, "api", 7)
    assert world.news() == [("db", UP, DOWN)]
    world.move("db", UP)
    assert world.news() == [("db", DOWN, UP)]  # it still flaps
    world.now_s += 30
    world.announcer.tick(world.now_s * 10**9)
    assert world.news() == [("api", UP, DOWN)]


def test_a_paused_probe_has_not_flapped():
    world = World(flap_damping=True, db=())
    flap(world, "db", 7)
    world.announcer.forget(world.catalog["db"])
    assert not world.flaps.flapping.any()


@given(
    st.lists(
        st.tuples(st.sampled_from(["db", "api", "web", "other"]), st.sampled_from([UP, DOWN, State.DEGRADED])), max_size=60
    )
)
def test_whoever_follows_the_news_knows_every_state_that_is_not_suppressed(moves):
    world = World(db=(), api=("db", "other"), web=("api",), other=())
    believed = dict.fromkeys(world.catalog.by_name, UP)
    for name, state in moves:
        world.move(name, state)
        for told, before, after in world.news():
            assert believed[told] is before
            assert before is not after
            believed[told] = after
        for registration in world.catalog:
            if not world.announcer.is_suppressed(registration):
                assert believed[registration.name] == world.states[registration.slot]


def test_changes_under_maintenance_that_end_with_it_are_never_told(world: World):
    world.maintain(10, 20, "db")
    world.wait(10)
    for state in (DOWN, State.DEGRADED, UP):
        world.move("db", state)
    world.move("api", DOWN)
    world.wait(10)
    assert world.news() == [("api", UP, DOWN)]
    assert world.announcer.held == 0


def test_what_is_still_different_after_maintenance_is_told_once(world: World):
    world.maintain(10, 20)
    world.wait(15)
    for state in (DOWN, State.DEGRADED, DOWN):
        world.move("db", state)
    assert world.news() == []
    world.wait(5)
    assert world.news() == [("db", UP, DOWN)]
    world.wait(5)
    assert world.news() == []


def test_maintenance_begins_with_the_first_change_in_it_not_with_the_next_tick(world: World):
    world.maintain(10, 20)
    world.now_s = 10
    world.move("db", DOWN)
    assert world.news() == []
    world.now_s = 20
    world.move("web", DOWN)
    # The end of maintenance is seen first: then db, which is below nothing, and what happens after it.
    assert world.news() == [("db", UP, DOWN)]


def test_restarts_under_maintenance_are_no_flapping():
    world = World(flap_damping=True, db=())
    world.maintain(0, 100)
    flap(world, "db", 9)
    world.wait(100)
    assert world.news() == [("db", UP, DOWN)]
    assert not world.flaps.flapping.any()


def test_ending_maintenance_early_tells_what_it_held_back(world: World):
    world.maintain(10, 10_000)
    world.wait(10)
    world.move("db", DOWN)
    world.upkeep.end(world.upkeep.windows[0])
    world.announcer.settle()
    assert world.news() == [("db", UP, DOWN)]


@pytest.mark.parametrize("jump_s", [-1_000_000, 1_000_000], ids=["back", "forward"])
def test_a_wall_clock_that_jumps_out_of_maintenance_lets_the_news_out(world: World, jump_s: int):
    world.maintain(10, 20)
    world.wait(10)
    world.move("db", DOWN)
    world.wall_ahead_s = jump_s
    world.wait(1)
    assert world.news() == [("db", UP, DOWN)]


def test_a_wall_clock_set_back_within_maintenance_delays_the_news_and_loses_none(world: World):
    world.maintain(100, 200)
    world.wait(150)
    world.move("db", DOWN)
    world.wall_ahead_s = -45.0
    world.wait(60)
    assert world.news() == []
    world.wait(35)
    assert world.news() == [("db", UP, DOWN)]


steps = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(["db", "api", "web"]), st.sampled_from([UP, DOWN, State.DEGRADED])),
    st.tuples(st.just("wait"), st.integers(0, 30), st.none()),
    st.tuples(st.just("jump"), st.integers(-60, 60), st.none()),
)


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 40), st.sampled_from(["*", "db", "a*"])), max_size=4),
    st.lists(steps, max_size=60),
)
def test_however_the_wall_clock_jumps_all_is_known_of_what_nothing_holds_back(windows, steps):
    world = World(db=(), api=("db",), web=("api",))
    believed = dict.fromkeys(world.catalog.by_name, UP)
    for begin_s, seconds, name in windows:
        world.maintain(begin_s, begin_s + seconds, name)
    for step, what, state in steps:
        if step == "move":
            world.move(what, state)
        elif step == "jump":
            world.wall_ahead_s += what
        else:
            world.wait(what)
        for told, before, after in world.news():
            assert believed[told] is before
            assert before is not after
            believed[told] = after
        for registration in world.catalog if step == "wait" else ():
            if not world.announcer.is_suppressed(registration) and world.upkeep.covering(registration) is None:
                assert believed[registration.name] == world.states[registration.slot]
