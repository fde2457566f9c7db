"""When windows are open, and whom they cover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.aggregation.maintenance import Upkeep
from meshkit_fastprobe.errors import CapacityError
from meshkit_fastprobe.model import Maintenance
from meshkit_fastprobe.when import Once, Weekly


class Watched:
    """One window, looked at whenever the test says what time it is."""

    def __init__(self, when):
        self._now_s = 0.0
        self.upkeep = Upkeep(lambda: self._now_s)
        self.upkeep.configure((Maintenance(reason="work", when=when, name="*"),))
        self._before = self.upkeep.version

    def is_open(self, text):
        self._now_s = datetime.fromisoformat(text).timestamp()
        self.upkeep.look()
        return bool(self.upkeep._open)


BERLIN = {"time_zone": "Europe/Berlin"}


def test_once_begins_with_its_start_and_ends_just_before_its_end():
    watched = Watched(Once(start=datetime(2026, 3, 1, 2, tzinfo=UTC), end=datetime(2026, 3, 1, 4, tzinfo=UTC)))
    moments = ("2026-03-01T01:59:59Z", "2026-03-01T02:00:00Z", "2026-03-01T03:59:59Z", "2026-03-01T04:00:00Z")
    assert [watched.is_open(moment) for moment in moments] == [False, True, True, False]


def test_weekly_follows_the_clocks_of_its_zone_through_the_year():
    watched = Watched(Weekly(days=("sun",), at="03:00", duration_s=3600.0, **BERLIN))
    assert watched.is_open("2026-01-04T02:30:00Z")  # winter: an hour ahead of UTC
    assert not watched.is_open("2026-01-04T01:30:00Z")
    assert watched.is_open("2026-07-05T01:30:00Z")  # summer: two
    assert not watched.is_open("2026-07-05T02:30:00Z")
    assert not watched.is_open("2026-07-06T01:30:00Z")


def test_weekly_goes_on_past_midnight_and_into_the_next_week():
    watched = Watched(Weekly(days=("sun",), at="23:00", duration_s=7200.0))
    assert watched.is_open("2026-07-06T00:59:59Z")  # a Monday
    assert not watched.is_open("2026-07-06T01:00:00Z")


def test_a_time_that_the_clocks_skip_is_not_left_out():
    watched = Watched(Weekly(days=("sun",), at="02:30", duration_s=1800.0, **BERLIN))
    moments = ("2026-03-29T01:29:59Z", "2026-03-29T01:30:00Z", "2026-03-29T01:59:59Z", "2026-03-29T02:00:00Z")
    assert [watched.is_open(moment) for moment in moments] == [False, True, True, False]


def test_a_time_that_the_clocks_show_twice_is_a_beginning_only_once():
    watched = Watched(Weekly(days=("sun",), at="02:30", duration_s=1800.0, **BERLIN))
    assert watched.is_open("2026-10-25T00:30:00Z")
    assert not watched.is_open("2026-10-25T01:30:00Z")


@given(st.lists(st.integers(0, 14 * 86_400), min_size=1, max_size=30), st.integers(0, 6), st.integers(1, 7 * 86_400))
def test_what_is_remembered_between_two_looks_never_differs_from_a_fresh_look(moments, day, seconds):
    when = Weekly(
        days=(("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day],), at="17:30", duration_s=float(seconds), **BERLIN
    )
    begin = datetime(2026, 10, 20, tzinfo=UTC)  # two weeks with the end of summer time in them
    kept = Watched(when)
    for moment in moments:
        text = (begin + timedelta(seconds=moment)).isoformat()
        assert kept.is_open(text) is Watched(when).is_open(text)


SCOPES = [
    ({"name": "orders-*"}, {"orders-db", "orders-web"}),
    ({"name": "*-db", "namespace": "shop"}, {"orders-db"}),
    ({"cluster": "eu"}, {"orders-web"}),
    ({"labels": (("tier", "db"),)}, {"orders-db", "users-db"}),
    ({"name": "nobody"}, set()),
]


@pytest.mark.parametrize(("scope", "names"), SCOPES)
def test_rows_and_single_probes_agree_on_who_is_covered(world, scope, names):
    world.add("orders-db", namespace="shop", labels=(("env", "prod"), ("tier", "db")))
    world.add("orders-web", cluster="eu")
    world.add("users-db", labels=(("tier", "db"),))
    always = Once(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2030, 1, 1, tzinfo=UTC))
    world.upkeep.configure((Maintenance(reason="work", when=always, **scope),))
    snapshot = world.snapshot()
    assert {name for name, hit in zip(snapshot.names, snapshot.columns["maintenance"], strict=True) if hit} == names
    assert {name for name in snapshot.names if snapshot[name].maintenance == "work"} == names
    assert {one.name for one in world.catalog if world.upkeep.covering(one)} == names


def test_a_probe_that_is_added_while_a_window_is_open_is_in_it(world):
    always = Once(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2030, 1, 1, tzinfo=UTC))
    world.upkeep.configure((Maintenance(reason="work", when=always, name="late"),))
    world.add("early")
    assert world.snapshot()["early"].maintenance is None
    world.add("late")
    assert world.snapshot()["late"].maintenance == "work"


def test_windows_that_code_adds_are_bounded():
    upkeep = Upkeep(lambda: 0.0)
    window = Maintenance(reason="work", when=Weekly(days=("mon",), at="01:00", duration_s=60.0), name="*")
    upkeep._added = (window,) * 1000
    with pytest.raises(CapacityError, match="1000 maintenance windows"):
        upkeep.add(window)
