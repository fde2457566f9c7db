"""Places of a Python lane, shared fairly: what the engine does with connections, done with workers.

Who comes while there is a place takes it. Otherwise runs wait: first come, first served within a group, the groups in turn, as
many in a row as a group's weight. As soon as two groups have probes in the lane, none may hold more than SHARE times as many
places as are left free (times its weight): what does not answer in one group leaves places for the others. A group that is held
back for its share has runs in its places, so it is looked at again when one of them ends. (native/src/engine_groups.c)
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")

SHARE: Final = 3


class Places(Generic[T]):
    """How many places are taken, by which group, and who waits for one. Who waits has a key, by which it may leave the line."""

    def __init__(self, places: int, weights: Sequence[int], groups_present: Callable[[], int]) -> None:
        """weights: by number of the group; groups_present: how many share the places now."""
        self._places = places
        self._taken = 0
        self._plenty = 3 * places // 4  # with fewer taken, no group can be beyond its share
        self._present = groups_present
        self._weights = weights
        self._held = [0] * len(weights)
        self._lines: list[OrderedDict[int, T] | None] = [None] * len(weights)  # made for those that ever wait
        self._ring: deque[int] = deque()  # groups that may be served, the next one first
        self._turns = 0  # that the first of the ring has left; 0: it has not begun
        self._kept_back: set[int] = set()  # beyond their share: not in the ring
        self.waiting = [0] * len(weights)
        self.skipped = [0] * len(weights)
        """Runs that left the line unserved."""

    def take(self, group: int) -> bool:
        """A place, unless there is none or somebody waits who comes first."""
        if self._ring or self.waiting[group] or (self._taken >= self._plenty and not self._may_take(group)):
            return False
        self._taken += 1
        self._held[group] += 1
        return True

    def wait(self, group: int, key: int, who: T) -> None:
        line = self._lines[group]
        if line is None:
            line = self._lines[group] = OrderedDict()
        line[key] = who
        self.waiting[group] += 1
        if self.waiting[group] > 1:
            return
        if self._taken < self._places and not self._within_share(group):
            self._kept_back.add(group)
        else:
            self._ring.append(group)

    def leave(self, group: int, key: int) -> None:
        """Who waited waits no longer; calm when nobody does under this key."""
        line = self._lines[group]
        if line is not None and line.pop(key, None) is not None:
            self.skipped[group] += 1
            self._shorten(group)

    def give_back(self, group: int) -> list[T]:
        """A place is free again: who has one now."""
        self._taken -= 1
        self._held[group] -= 1
        if not self._ring and group not in self._kept_back:
            return []
        if group in self._kept_back:
            self._kept_back.remove(group)
            self._ring.append(group)
        return self._serve()

    def _may_take(self, group: int) -> bool:
        return self._taken < self._places and self._within_share(group)

    def _within_share(self, group: int) -> bool:
        return self._present() < 2 or self._held[group] < SHARE * self._weights[group] * (self._places - self._taken)

    def _serve(self) -> list[T]:
        served = []
        while self._ring and self._taken < self._places:
            group = self._ring[0]
            if not self._within_share(group):
                self._ring.popleft()
                self._turns = 0
                self._kept_back.add(group)
                continue
            line = self._lines[group]
            assert line, "who is in the ring waits"
            self._turns = (self._turns or self._weights[group]) - 1
            served.append(line.popitem(last=False)[1])
            self._taken += 1
            self._held[group] += 1
            self._shorten(group)
            if not self._turns and self._ring and self._ring[0] == group:
                self._ring.rotate(-1)
        return served

    def _shorten(self, group: int) -> None:
        self.waiting[group] -= 1
        if self.waiting[group]:
            return
        if group in self._kept_back:
            self._kept_back.remove(group)
            return
        if self._ring[0] == group:
            self._turns = 0
        self._ring.remove(group)

    def check(self) -> str | None:
        """None, or the first broken invariant: for tests."""
        if self._taken != sum(self._held) or not 0 <= self._taken <= self._places or min(self._held) < 0:
            return "places taken are held by groups"
        if [len(line or ()) for line in self._lines] != self.waiting:
            return "who waits is counted"
        if {group for group, n in enumerate(self.waiting) if n} != self._kept_back | set(self._ring):
            return "who waits is in the ring or kept back"
        if len(self._ring) != len(set(self._ring)) or self._kept_back & set(self._ring):
            return "a group has one place in the ring"
        if any(not self._held[group] for group in self._kept_back):
            return "who is kept back is looked at when a run of its own ends"
        return None
