"""What the probes say of an experiment's subjects: shares of what is up, now and at worst. Values in, values out."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.experiments import Experiment, Selector
from meshkit_fastprobe.model import State

MIN_SEEN: Final = 0.5
"""Share of the selected probes that must have something recent to say; with fewer, nobody knows."""

_UP: Final = (State.HEALTHY, State.DEGRADED)
_SEES: Final = (*_UP, State.UNHEALTHY)


def rows_of(snapshot: Snapshot, selector: Selector) -> NDArray[np.intp]:
    return snapshot.select(
        name=selector.name, cluster=selector.cluster, namespace=selector.namespace, labels=dict(selector.labels)
    )


def share_up(snapshot: Snapshot, selector: Selector) -> float | None:
    """The share of these probes that is healthy or degraded; None when they cannot see: none, stale, paused or never run."""
    rows = rows_of(snapshot, selector)
    state = snapshot.columns["state"][rows]
    sees = np.isin(state, _SEES) & ~snapshot.columns["stale"][rows]
    if not len(rows) or sees.sum() < MIN_SEEN * len(rows):
        return None
    return float(np.isin(state[sees], _UP).mean())


def remaining_up(snapshot: Snapshot, rows: NDArray[np.intp]) -> dict[str, float]:
    """By "cluster/namespace": what share stays up when all of these rows go down. Only groups that are affected."""
    up = np.isin(snapshot.columns["state"], _UP)
    up[rows] = False
    # By number, not by name: comparing the names of thousands of probes would take a millisecond.
    numbers: dict[str, int] = {}
    number_of = np.array([numbers.setdefault(name, len(numbers)) for name in group_names(snapshot).tolist()], np.intp)
    mine = number_of[snapshot.columns["group"]]
    probes, left = np.bincount(mine, minlength=len(numbers)), np.bincount(mine, weights=up, minlength=len(numbers))
    hurt = set(np.unique(mine[rows]).tolist())
    return {name: float(left[at] / probes[at]) for name, at in sorted(numbers.items()) if at in hurt}


def groups_of(snapshot: Snapshot, experiment: Experiment) -> tuple[str, ...]:
    """Whom it concerns: the groups of the probes it may hurt, or, when it does not say, of those it is judged by."""
    selector = experiment.affects or experiment.steady_state
    if selector is None:
        return ()
    numbers = np.unique(snapshot.columns["group"][rows_of(snapshot, selector)])
    return tuple(sorted({str(name) for name in group_names(snapshot)[numbers]}))


def group_names(snapshot: Snapshot) -> NDArray[Any]:
    """As people say them, "cluster/namespace", by the numbers in columns["group"]."""
    return np.array([f"{cluster}/{namespace}" for cluster, namespace, _, _ in snapshot.source.catalog.groups.tags], object)
