"""At which interval each probe runs now: sooner while a change of its state is pending, less often while it stays unhealthy."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.model import Result, State
from meshkit_fastprobe.probes.catalog import Registration

STEADY_RUNS: Final = 10
"""At each interval of a backoff, until it is doubled."""

_NONE: Final[frozenset[Result]] = frozenset()
_TOWARDS: Final = {
    State.HEALTHY: frozenset(Result) - {Result.OK},
    State.DEGRADED: frozenset(Result) - {Result.DEGRADED},
    State.UNHEALTHY: frozenset({Result.OK, Result.DEGRADED}),
}
"""Results that work towards another state, as in table.h."""


class Paces:
    """Knows of each probe that is backed off how often its interval was doubled; everything else stands in the table."""

    def __init__(self, table: Table) -> None:
        self._states = table.column("state").data
        self._last_results = table.column("last_result").data
        self._interval_ms = table.column("interval_ms").data
        self._doublings: dict[int, int] = {}
        self._steps: list[tuple[int, int]] = []
        """A heap of when and slot; one counts that is the next of its slot."""
        self._next_ns: dict[int, int] = {}

    def interval_s(self, registration: Registration) -> float:
        """The one in force."""
        options, slot = registration.options, registration.slot
        state = self._states[slot]
        base_s = options.interval_s
        if state == State.UNHEALTHY and options.unhealthy_interval_s is not None:
            base_s = options.unhealthy_interval_s
        if options.pending_interval_s is not None and self._is_pending(slot):
            return min(base_s, options.pending_interval_s)
        if options.backoff_s is None or state != State.UNHEALTHY:
            return base_s
        return float(min(base_s * 2 ** self._doublings.get(slot, 0), options.backoff_s))

    def moved(self, registration: Registration, now_ns: int) -> bool:
        """The state is another, or a change of it is pending, or no longer, or the options are others.

        Whether that calls for another interval than the table has. Of many moves in one batch only the first one's does: the
        table is ahead of them.
        """
        options, slot = registration.options, registration.slot
        if options.unhealthy_interval_s is None and options.pending_interval_s is None and options.backoff_s is None:
            return False
        self.forget(slot)
        if options.backoff_s is not None and self._states[slot] == State.UNHEALTHY and not self._is_pending(slot):
            self._doublings[slot] = 0
            self._await_step(registration, now_ns, options.backoff_s)
        return round(self.interval_s(registration) * 1000) != self._interval_ms[slot]

    def tick(self, now_ns: int, by_slot: Sequence[Registration | None] | NDArray[np.object_]) -> list[Registration]:
        """Those whose interval is doubled now."""
        slower = []
        while self._steps and self._steps[0][0] <= now_ns:
            at_ns, slot = heappop(self._steps)
            registration = by_slot[slot]
            if registration is None or self._next_ns.get(slot) != at_ns or registration.options.backoff_s is None:
                continue
            del self._next_ns[slot]
            self._doublings[slot] += 1
            self._await_step(registration, now_ns, registration.options.backoff_s)
            slower.append(registration)
        return slower

    def forget(self, slot: int) -> None:
        """It is gone, or was paused, or is not stably unhealthy any more."""
        self._doublings.pop(slot, None)
        self._next_ns.pop(slot, None)

    def _await_step(self, registration: Registration, now_ns: int, backoff_s: float) -> None:
        interval_s = self.interval_s(registration)
        if interval_s < backoff_s:
            at_ns = self._next_ns[registration.slot] = now_ns + int(STEADY_RUNS * interval_s * 1e9)
            heappush(self._steps, (at_ns, registration.slot))

    def _is_pending(self, slot: int) -> bool:
        return self._last_results[slot] in _TOWARDS.get(State(self._states[slot]), _NONE)
