"""Which state changes are news.

While something that a probe depends on is unhealthy, what becomes of the probe is a consequence, and the one who is woken by it
looks in the wrong place: its changes are held back. When that ends and the probe is not in the state that was announced last,
this is told once, however often it went to and fro. In the same way a probe that begins to flap is told of with that change,
and then once when it has come to rest. What happens to a probe under maintenance is expected, and is told afterwards if it has
not ended with it. Nothing is lost by any of this: counters, the table and every snapshot move at once.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.flapping import Flaps
from meshkit_fastprobe.aggregation.maintenance import Upkeep
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
    flapping: bool = False
    """With this one begins flapping."""


class Announcer:
    """Takes every move, in order, and hands on those that are news."""

    def __init__(
        self,
        catalog: Catalog,
        states: NDArray[np.uint8],
        flaps: Flaps,
        upkeep: Upkeep,
        announce: Callable[[Registration, Move], None],
    ) -> None:
        self._catalog = catalog
        self._states = states
        self._flaps = flaps
        self._upkeep = upkeep
        self._upkeep_seen = upkeep.version
        self._announce = announce
        self._held: dict[int, tuple[Registration, Move]] = {}

    @property
    def held(self) -> int:
        """Probes whose present state has not been announced."""
        return len(self._held)

    def take(self, registration: Registration, move: Move) -> None:
        self._keep_up()
        options, slot = registration.options, registration.slot
        maintained = self._upkeep.covering(registration) is not None
        counts = options.flap_damping and move.before is not State.UNKNOWN and not maintained
        begins = counts and self._flaps.changed(slot, move.at_ns, options.interval_s)
        _, earlier = self._held.pop(slot, (None, None))
        told = move
        if earlier is not None or begins:
            before = move.before if earlier is None else earlier.before
            told = msgspec.structs.replace(move, before=before, flapping=begins)
        if maintained or self.is_suppressed(registration) or (self._flaps.flapping[slot] and not begins):
            self._held[slot] = (registration, told)
        elif told.before is not told.after:
            self._announce(registration, told)
        if move.before is State.UNHEALTHY:
            self.settle()

    def tick(self, now_ns: int) -> None:
        """Every few seconds: flapping ends by nothing happening, maintenance by the time."""
        if self._flaps.ended(now_ns):
            self.settle()
        self._keep_up()

    def forget(self, registration: Registration) -> None:
        """The probe is gone, or was paused: what it did before is no news any more."""
        self.drop(registration)
        self.settle()

    def drop(self, registration: Registration) -> None:
        """The same of one of many: call `settle` after the last."""
        self._flaps.forget(registration.slot)
        self._held.pop(registration.slot, None)

    def settle(self) -> None:
        """Announce what was held back for a reason that is gone. Call it when options have changed."""
        for slot, (registration, move) in list(self._held.items()):
            present = self._catalog.at(slot) is registration
            # The table is ahead of the moves by those of the same batch that are still to be taken: the next of them decides.
            if present and (self._states[slot] != move.after or self._is_held_back(registration)):
                continue
            del self._held[slot]
            if present and move.before is not move.after:
                self._announce(registration, move)

    def _keep_up(self) -> None:
        """Maintenance has begun or ended: told is what it held back."""
        version = self._upkeep.look()
        if version != self._upkeep_seen:
            self._upkeep_seen = version
            self.settle()

    def _is_held_back(self, registration: Registration) -> bool:
        return (
            bool(self._flaps.flapping[registration.slot])
            or self._upkeep.covering(registration) is not None
            or self.is_suppressed(registration)
        )

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
