"""Phases: when in its interval a probe runs.

Phases are anchored to the host's scheduling clock, not to the start of this process, so they survive a restart. Within a class
(cluster, namespace, interval) probes are ranked by a hash of their names and spaced evenly by rank: the same set of names
gives the same phases in any order of registration, ten thousand probes of one interval start as evenly as a ruler, and a name
added or taken away moves the others by one part in the class. (A plain hash leaves peaks of twice the mean in 10 ms; a
golden-ratio counter is even but depends on the order of registration, and collapses on subsets with a Fibonacci stride.)
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.scheduling.sorting import argsort
from meshkit_fastprobe.turns import Turns, finish

NEVER = -1
GRID_NS = 10_000_000
"""Phases of intervals from a second on lie on multiples of this: the engine wakes once for many probes, which at 4,000 checks
a second saves a fifth of a check's CPU (wake-ups and cold caches), and no probe is late for it. Targets feel no burst: the
engine starts what is due together a few at a time, and no faster than it would start them anyhow."""
TICK_NS = 1_000_000
"""Of the engine's wheel: a finer grid would save nothing."""


def grid_ns(interval_ns: int) -> int:
    """What phases of this interval are multiples of: a hundredth of it in whole ticks, GRID_NS at most."""
    return max(1, min(GRID_NS, interval_ns // 100 // TICK_NS * TICK_NS))


def name_fraction(name: str) -> float:
    """A fraction of [0, 1) that depends on the name alone."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) / 2.0**64


def spread(names: Sequence[str], offset: float) -> NDArray[np.float64]:
    """Phases in [0, 1) for one class of names: evenly spaced, in the order of the names' hashes. One name gets its own hash."""
    return finish(rank(np.array([name_fraction(name) for name in names]), offset))


def rank(fractions: NDArray[np.float64], offset: float) -> Turns[NDArray[np.float64]]:
    """The same, of the hashes."""
    if len(fractions) > 1:
        order = yield from argsort(fractions)
        fractions[order] = (np.arange(len(fractions)) + offset) / len(fractions)
    return fractions


def next_on_phase(fraction: float, interval_ns: int, not_before_ns: int) -> int:
    """The first time at or after not_before_ns that lies on the phase."""
    phase_ns = int(fraction * interval_ns)
    phase_ns -= phase_ns % grid_ns(interval_ns)
    return not_before_ns + (phase_ns - not_before_ns) % interval_ns


def first_run(fraction: float, interval_ns: int, not_before_ns: int, window_ns: int) -> tuple[int, int]:
    """(due, first): the first due time on the phase, and an extra first run for probes whose phase is far away, else NEVER.

    A probe with a long interval gets its first verdict within window_ns instead of after up to an interval; the extra runs are
    spread over the window by the same fraction.
    """
    due_ns = next_on_phase(fraction, interval_ns, not_before_ns)
    if due_ns - not_before_ns <= window_ns:
        return due_ns, NEVER
    return due_ns, not_before_ns + int(fraction * window_ns)


def runs_due(due_ns: int, first_ns: int, interval_ns: int, start_ns: int, stop_ns: int) -> int:
    """How many runs of one probe fall due in [start, stop): what a perfect scheduler would start."""
    first = 1 if first_ns != NEVER and start_ns <= first_ns < stop_ns else 0
    begin = due_ns if due_ns >= start_ns else due_ns + -((due_ns - start_ns) // interval_ns) * interval_ns
    return first + (max(0, -((begin - stop_ns) // interval_ns)) if begin < stop_ns else 0)
