"""Who changes its state so often that its single changes are no news.

As Nagios has it since 2002: a probe begins to flap when a quarter of its last twenty runs changed its state, and has ended
when no more than a tenth did. Counted in time, by intervals, because most runs change nothing and are not looked at one by one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW_INTERVALS: Final = 20
BEGINS_AT: Final = 5
"""Changes within the window."""
ENDS_AT: Final = 2


class Flaps:
    """The last changes of every slot. Arrays of address space: only slots that change their state ever take memory."""

    def __init__(self, capacity: int) -> None:
        self.flapping: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self._at_ns: NDArray[np.int64] = np.zeros((capacity, BEGINS_AT), np.int64)
        self._changes: NDArray[np.uint32] = np.zeros(capacity, np.uint32)
        self._window_ns: dict[int, int] = {}  # of those that flap

    def changed(self, slot: int, at_ns: int, interval_s: float) -> bool:
        """Another change of this slot; whether it is the one with which flapping begins."""
        changes = int(self._changes[slot])
        self._at_ns[slot, changes % BEGINS_AT] = at_ns
        self._changes[slot] = changes = changes + 1
        if self.flapping[slot] or changes < BEGINS_AT:
            return False
        window_ns = int(interval_s * 1e9) * WINDOW_INTERVALS
        if at_ns - self._at_ns[slot, changes % BEGINS_AT] > window_ns:
            return False
        self._window_ns[slot] = window_ns
        self.flapping[slot] = True
        return True

    def ended(self, now_ns: int) -> list[int]:
        """Slots that have come to rest since the last call."""
        calm = [
            slot
            for slot, window_ns in self._window_ns.items()
            if np.count_nonzero(self._at_ns[slot] > now_ns - window_ns) <= ENDS_AT
        ]
        for slot in calm:
            self.forget(slot)
        return calm

    def forget(self, slot: int) -> None:
        """The slot begins anew: it has come to rest, or its probe is gone."""
        self._changes[slot] = 0
        self.flapping[slot] = False
        self._window_ns.pop(slot, None)
