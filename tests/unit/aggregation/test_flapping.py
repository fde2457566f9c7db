from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.aggregation.flapping import BEGINS_AT, ENDS_AT, WINDOW_INTERVALS, Flaps

S = 1_000_000_000


def test_it_begins_with_the_fifth_change_within_twenty_intervals():
    flaps = Flaps(4)
    assert [flaps.changed(2, at * 5 * S, 1.0) for at in range(1, 7)] == [False, False, False, False, True, False]
    assert flaps.flapping.tolist() == [False, False, True, False]


def test_changes_that_lie_further_apart_are_none():
    flaps = Flaps(1)
    assert not any(flaps.changed(0, at * 6 * S, 1.0) for at in range(1, 50))


def test_the_window_is_as_long_as_the_interval_makes_it():
    flaps = Flaps(1)
    assert any(flaps.changed(0, at * 6 * S, 2.0) for at in range(1, 6))


def test_it_ends_when_two_or_fewer_changes_lie_within_the_window():
    flaps = Flaps(1)
    for at in range(5):
        flaps.changed(0, at * S, 1.0)
    assert flaps.ended(21 * S) == []  # changes of the seconds 2, 3 and 4
    assert flaps.ended(22 * S) == [0]
    assert not flaps.flapping[0]
    assert flaps.ended(23 * S) == []


def test_a_slot_that_is_used_again_begins_anew():
    flaps = Flaps(1)
    for at in range(BEGINS_AT):
        flaps.changed(0, at * S, 1.0)
    flaps.forget(0)
    assert not flaps.flapping[0]
    assert not any(flaps.changed(0, (10 + at) * S, 1.0) for at in range(BEGINS_AT - 1))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=80))
def test_it_counts_as_a_list_of_all_changes_would(steps):
    flaps, changes, flapping, now = Flaps(1), [], False, 1
    for is_change, wait in steps:
        now += wait
        if is_change:
            changes.append(now)
            begins = flaps.changed(0, now * S, 1.0)
            within = len(changes) >= BEGINS_AT and now - changes[-BEGINS_AT] <= WINDOW_INTERVALS
            assert begins == (within and not flapping)
            flapping |= within
        else:
            calm = flapping and sum(now - at < WINDOW_INTERVALS for at in changes[-BEGINS_AT:]) <= ENDS_AT
            assert flaps.ended(now * S) == ([0] if calm else [])
            if calm:
                flapping, changes = False, []
        assert flaps.flapping[0] == flapping
