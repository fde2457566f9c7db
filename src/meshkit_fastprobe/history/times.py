"""How long each probe was in each state within a span, out of what changed in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.history.spans import STATES


def state_times(
    begin_ns: int,
    end_ns: int,
    moves: NDArray[np.void],
    *,
    before: NDArray[np.uint8],
    state: NDArray[np.uint8],
    since_ns: NDArray[np.int64],
    fresh: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Nanoseconds by slot and state: (slots, states).

    moves: transitions of these slots, in any order. before: the state of each slot at the beginning, which a fresh one had not.
    state, since_ns: at the end, and since when; pausing and its end are told by these alone.
    """
    times = np.zeros((len(state), STATES), np.int64)
    slots = np.arange(len(state))
    entered_ns = np.clip(since_ns, begin_ns, end_ns)
    times[slots, state] += end_ns - entered_ns
    reached_ns = np.full(len(state), begin_ns, np.int64)  # up to where the time of each slot is told for
    reached_ns[fresh] = entered_ns[fresh]
    was = np.where(fresh, state, before)
    if len(moves):
        order = np.lexsort((moves["at_ns"], moves["slot"]))
        slot = moves["slot"][order].astype(np.intp)
        at_ns = np.minimum(np.clip(moves["at_ns"][order].astype(np.int64), begin_ns, end_ns), entered_ns[slot])
        first = np.r_[True, slot[1:] != slot[:-1]]
        last = np.r_[first[1:], True]
        left_ns = np.r_[0, at_ns[:-1]]
        left_ns[first] = np.where(fresh[slot[first]], at_ns[first], begin_ns)
        np.add.at(times, (slot, moves["before"][order]), np.maximum(at_ns - left_ns, 0))
        reached_ns[slot[last]] = at_ns[last]
        was[slot[last]] = moves["after"][order][last]
    times[slots, was] += np.maximum(entered_ns - reached_ns, 0)
    return times
