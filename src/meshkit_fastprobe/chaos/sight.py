"""What the probes say of an experiment's subjects: shares of what is up, now and at worst. Values in, values out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.glance import Seen
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.model import State

MIN_SEEN: Final = 0.5
"""Share of the selected probes that must have something recent to say; with fewer, nobody knows."""

_UP: Final = np.array([state in {State.HEALTHY, State.DEGRADED} for state in State])
"""By the number of a state: a look-up, where np.isin would sort."""
_SEES: Final = _UP | np.array([state is State.UNHEALTHY for state in State])


def rows_of(seen: Seen, selector: Selector) -> NDArray[np.intp]:
    return seen.select(name=selector.name, cluster=selector.cluster, namespace=selector.namespace, labels=dict(selector.labels))


def share_up(seen: Seen, selector: Selector) -> float | None:
    """The share of these probes that is healthy or degraded; None when they cannot see: none, stale, paused or never run."""
    rows = rows_of(seen, selector)
    state = seen.columns["state"][rows]
    sees = _SEES[state] & ~seen.columns["stale"][rows]
    seeing = np.count_nonzero(sees)
    if not len(rows) or seeing < MIN_SEEN * len(rows):
        return None
    return float(np.count_nonzero(_UP[state] & sees) / seeing)  # numpy.float64 is nothing that the journal can write


def remaining_up(seen: Seen, rows: NDArray[np.intp]) -> dict[str, float]:
    """By "cluster/namespace": what share stays up when all of these rows go down. Only groups that are affected."""
    up = _UP[seen.columns["state"]]
    up[rows] = False
    # By number, not by name: comparing the names of thousands of probes would take a millisecond.
    places = seen.base_groups.places
    mine = places.of_group[seen.columns["group"]]
    probes, left = (np.bincount(of, minlength=len(places.values)) for of in (mine, mine[up]))
    hurt = np.flatnonzero(np.bincount(mine[rows])).tolist()
    return {name: float(left[at] / probes[at]) for name, at in sorted((places.values[at], at) for at in hurt)}


def groups_of(seen: Seen, rows: NDArray[np.intp]) -> tuple[str, ...]:
    """Whom these probes belong to, each "cluster/namespace" once."""
    places = seen.base_groups.places
    theirs = np.flatnonzero(np.bincount(places.of_group[seen.columns["group"][rows]]))
    return tuple(sorted(places.values[at] for at in theirs.tolist()))


def group_names(seen: Seen, rows: NDArray[np.intp]) -> NDArray[np.object_]:
    """Of each row, as people say it: "cluster/namespace"."""
    places = seen.base_groups.places
    numbers: NDArray[np.intp] = places.of_group[seen.columns["group"][rows]]
    return np.array(places.values, object)[numbers]
