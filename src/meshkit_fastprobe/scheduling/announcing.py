"""Which state changes are news.

While something that a probe depends on is unhealthy, what becomes of the probe is a consequence, and the one who is woken by it
looks in the wrong place: its changes are held back. When that ends and the probe is not in the state that was announced last,
this is told once, however often it went to and fro. Nothing is lost by it: counters, the table and every snapshot move at once.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.model import Reason, Result, State
from meshkit_fastprobe.probes.catalog import Catalog, Registration


class Move(msgspec.Struct, frozen=True, gc=False):
    """A probe went from one state to another; the other fields are of the run that decided."""

    at_ns: int
    before: State
    after: State
    reason: Reason
    result: Result
    detail: int


class Announcer:
    """Takes every move, in order, and hands on those that are news."""

    def __init__(self, catalog: Catalog, states: NDArray[np.uint8], announce: Callable[[Registration, Move], None]) -> None:
        self._catalog = catalog
        self._states = states
        self._announce = announce
        self._held: dict[int, tuple[Registration, Move]] = {}

    @property
    def held(self) -> int:
        """Probes whose present state has not been announced."""
        return len(self._held)

    def take(self, registration: Registration, move: Move) -> None:
        _, earlier = self._held.pop(registration.slot, (None, None))
        told = move if earlier is None else msgspec.structs.replace(move, before=earlier.before)
        if self.is_suppressed(registration):
            self._held[registration.slot] = (registration, told)
        elif told.before is not told.after:
            self._announce(registration, told)
        if move.before is State.UNHEALTHY:
            self.settle()

    def settle(self) -> None:
        """Announce what was held back for a reason that is gone. Call it when a probe is removed, paused or set up anew."""
        for slot, (registration, move) in list(self._held.items()):
            current = self._catalog.at(slot) is registration and self._states[slot] == move.after
            if current and self.is_suppressed(registration):
                continue
            del self._held[slot]
            if current and move.before is not move.after:
                self._announce(registration, move)

    def is_suppressed(self, registration: Registration) -> bool:
        """Whether anything it depends on, directly or through others, is unhealthy."""
        names, seen = list(registration.options.depends_on), set()
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            above = self._catalog.by_name.get(name)
            if above is not None:
                if self._states[above.slot] == State.UNHEALTHY:
                    return True
                names.extend(above.options.depends_on)
        return False
