"""Places shared by groups, beside a plain account of who holds and who waits."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meshkit_fastprobe.scheduling.lanes.places import SHARE, Places

GROUPS = 4

groups = st.integers(0, GROUPS - 1)


class PlacesMachine(RuleBasedStateMachine):
    @initialize(
        places=st.integers(1, 12),
        weights=st.lists(st.integers(1, 3), min_size=GROUPS, max_size=GROUPS),
        present=st.integers(1, 4),
    )
    def begin(self, places: int, weights: list[int], present: int) -> None:
        self.total, self.weights, self.present = places, weights, present
        self.places: Places[int] = Places(places, weights, lambda: self.present)
        self.holding: list[tuple[int, int]] = []  # group, key
        self.lines: dict[int, list[int]] = {group: [] for group in range(GROUPS)}
        self.keys = 0

    def held(self, group: int) -> int:
        return sum(holder == group for holder, _ in self.holding)

    @property
    def free(self) -> int:
        return self.total - len(self.holding)

    def within_share(self, group: int) -> bool:
        return self.present < 2 or self.held(group) < SHARE * self.weights[group] * self.free

    @rule(group=groups)
    def come(self, group: int) -> None:
        self.keys += 1
        alone = not any(self.lines.values())
        taken = self.places.take(group)
        if taken:
            assert self.free
            assert self.within_share(group)
            assert not self.lines[group]
            self.holding.append((group, self.keys))
        else:
            assert not alone or not self.free or not self.within_share(group)
            self.places.wait(group, self.keys, self.keys)
            self.lines[group].append(self.keys)

    @precondition(lambda self: self.holding)
    @rule(pick=st.integers(0, 1000))
    def end(self, pick: int) -> None:
        group, _ = self.holding.pop(pick % len(self.holding))
        for key in self.places.give_back(group):
            [served] = [number for number, line in self.lines.items() if line and line[0] == key]
            assert self.free
            assert self.within_share(served)
            self.lines[served].pop(0)
            self.holding.append((served, key))
        if self.free and self.lines[group]:
            assert not self.within_share(group)

    @precondition(lambda self: any(self.lines.values()))
    @rule(pick=st.integers(0, 1000))
    def give_up(self, pick: int) -> None:
        waiting = [(group, key) for group, line in self.lines.items() for key in line]
        group, key = waiting[pick % len(waiting)]
        self.places.leave(group, key)
        self.lines[group].remove(key)

    @rule(present=st.integers(1, 4))
    def groups_come_and_go(self, present: int) -> None:
        self.present = present

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "places"):
            assert self.places.check() is None
            assert self.places.waiting == [len(line) for line in self.lines.values()]


PlacesMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
test_places_agree_with_a_plain_account = PlacesMachine.TestCase


def full(places: int, weights: list[int]) -> Places[str]:
    """All taken by group 0."""
    made: Places[str] = Places(places, weights, lambda: 1)
    for _ in range(places):
        assert made.take(0)
    return made


def test_groups_that_wait_are_served_in_turn_and_each_in_its_order():
    places = full(9, [1, 1, 2])
    for number in range(9):
        places.wait(number // 3, number, "abc"[number // 3] + str(number % 3))
    assert [name for _ in range(9) for name in places.give_back(0)] == ["a0", "b0", "c0", "c1", "a1", "b1", "c2", "a2", "b2"]


def test_a_group_that_does_not_answer_leaves_a_quarter_for_the_others():
    places: Places[str] = Places(40, [1, 1], lambda: 2)
    taken = [places.take(0) for _ in range(40)]
    assert sum(taken) == 30
    assert all(places.take(1) for _ in range(2))


def test_who_left_the_line_is_not_served():
    places = full(1, [1])
    places.wait(0, 7, "gone")
    places.wait(0, 8, "next")
    places.leave(0, 7)
    places.leave(0, 7)
    assert places.give_back(0) == ["next"]
    assert places.skipped == [1]
