"""What is told of a tree of dependencies: web depends on api, api on db."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe import Lane, ProbeOptions, Reason, Result, State
from meshkit_fastprobe.probes.callable import from_callable
from meshkit_fastprobe.probes.catalog import Catalog, Registration
from meshkit_fastprobe.scheduling.announcing import Announcer, Move

UP, DOWN = State.HEALTHY, State.UNHEALTHY


class World:
    def __init__(self, **depends_on: tuple[str, ...]) -> None:
        self.catalog = Catalog(16)
        self.states = np.full(16, UP, np.uint8)
        self.told: list[tuple[str, State, State]] = []
        self.announcer = Announcer(self.catalog, self.states, self._announce)
        for slot, (name, above) in enumerate(depends_on.items()):
            options = ProbeOptions(depends_on=above)
            self.catalog.put(Registration(name, from_callable(lambda: None), options, Lane.THREAD, slot, 1, 0))

    def _announce(self, registration: Registration, move: Move) -> None:
        self.told.append((registration.name, move.before, move.after))

    def move(self, name: str, after: State) -> None:
        registration = self.catalog[name]
        before = State(self.states[registration.slot])
        if before is not after:
            self.states[registration.slot] = after
            self.announcer.take(registration, Move(0, before, after, Reason.NONE, Result.OK, 0))

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
