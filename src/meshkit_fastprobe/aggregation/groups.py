"""Reports per group of probes: states now, results and percentiles of a window, by any combination of tags.

The table and the windows count per base group, one for each distinct set of tags. Here base groups are folded into the groups
a reader asked for, all with NumPy: nothing is looked at probe by probe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe.aggregation.columns import RESULT_NAMES
from meshkit_fastprobe.aggregation.windows import Windows, WindowSums
from meshkit_fastprobe.model import Result, State
from meshkit_fastprobe.probes.catalog import Groups, Tags

QUANTILES: Final = np.array([0.5, 0.9, 0.99])
STATE_NAMES: Final = tuple(state.name.lower() for state in State)
MAX_TAGS: Final = 16
"""Tags one report may be grouped by."""
_REMEMBERED: Final = 16
"""Combinations of tags whose numbering is kept: readers choose label keys, so there must be an end to it."""
_BOUNDS_S: Final = histogram.upper_bounds_s()
_PASSED: Final = [Result.OK, Result.DEGRADED]


class Group(msgspec.Struct, frozen=True):
    """Probes that share the values of some tags. A tag that a probe lacks is an empty string.

    probes, states and stale are of the moment; what ran is of the window, or of the table's life for None, and includes probes
    that are gone. Quantiles are None without results and infinite when they lie among the timeouts.
    """

    tags: dict[str, str]
    probes: int
    states: dict[str, int]
    stale: int
    runs: int
    results: dict[str, int]
    rate_per_s: float | None
    success_ratio: float | None
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None
    window: str | None
    seconds: float
    """What the window really covers; rate_per_s divides by it."""
    buckets: dict[float, int] | None = None
    """Where asked for: runs by the inclusive upper bound of their bucket in seconds, infinite for timeouts."""


class Numbering(msgspec.Struct, frozen=True, eq=False):
    """Base groups by the groups of one report."""

    by: tuple[str, ...]
    row_of_group: NDArray[np.intp]
    values: list[tuple[str, ...]]
    """Of each row, in the order of `by`."""

    @classmethod
    def read(cls, groups: Groups, by: tuple[str, ...]) -> Numbering:
        row_of_values: dict[tuple[str, ...], int] = {}
        row_of_group = [row_of_values.setdefault(_values(tags, by), len(row_of_values)) for tags in groups.tags]
        return cls(by, np.array(row_of_group, np.intp), list(row_of_values))


class GroupReports:
    """Makes reports of the columns of a snapshot and the windows of a table."""

    def __init__(self, groups: Groups, windows: Windows) -> None:
        self._groups = groups
        self._windows = windows
        self._numberings: dict[tuple[str, ...], Numbering] = {}

    def read(
        self,
        columns: dict[str, NDArray[Any]],
        now_ns: int,
        by: Sequence[str],
        window: str | None,
        visible: NDArray[np.bool_] | None = None,
        *,
        buckets: bool = False,
    ) -> list[Group]:
        """Groups that have probes in these columns, in the order of their tags; of visible rows only, as Snapshot.groups says.

        ValueError for a window or a tag that cannot be.
        """
        numbering = self._numbering(_checked(by))
        if visible is not None:
            columns, numbering = _without_hidden(columns, numbering, visible)
        self._windows.frame(now_ns)
        sums = self._windows.sums(window, numbering.row_of_group, len(numbering.values))
        return _reports(columns, numbering, sums, window, buckets=buckets)

    def _numbering(self, by: tuple[str, ...]) -> Numbering:
        known = self._numberings.get(by)
        if known is None or len(known.row_of_group) != len(self._groups):
            if len(self._numberings) >= _REMEMBERED:
                self._numberings.clear()
            known = self._numberings[by] = Numbering.read(self._groups, by)
        return known


def _without_hidden(
    columns: dict[str, NDArray[Any]], numbering: Numbering, visible: NDArray[np.bool_]
) -> tuple[dict[str, NDArray[Any]], Numbering]:
    """Base groups that are wholly visible; others, and those without probes by now, go to a last row nobody is in."""
    group = columns["group"]
    shown = np.zeros(len(numbering.row_of_group), np.bool_)
    shown[group[visible]] = True
    shown[group[~visible]] = False
    row_of_group = np.where(shown, numbering.row_of_group, len(numbering.values))
    kept = shown[group]
    nobody = ("",) * len(numbering.by)
    return {name: column[kept] for name, column in columns.items()}, Numbering(
        numbering.by, row_of_group, [*numbering.values, nobody]
    )


def _checked(by: Sequence[str]) -> tuple[str, ...]:
    if isinstance(by, str):
        raise ValueError(f"by={by!r}: give the tags as a sequence, like ({by!r},)")  # noqa: TRY004 - a value that cannot be, as the others
    if len(by) > MAX_TAGS or len(set(by)) != len(by) or "" in by:
        raise ValueError(f"by={tuple(by)}: at most {MAX_TAGS} tags, each once: cluster, namespace, kind, or keys of labels")
    return tuple(by)


def _values(tags: Tags, by: tuple[str, ...]) -> tuple[str, ...]:
    cluster, namespace, kind, labels = tags
    known = {**dict(labels), "cluster": cluster, "namespace": namespace, "kind": kind}
    return tuple(known.get(tag, "") for tag in by)


def _reports(
    columns: dict[str, NDArray[Any]], numbering: Numbering, sums: WindowSums, window: str | None, *, buckets: bool
) -> list[Group]:
    rows = len(numbering.values)
    row = numbering.row_of_group[columns["group"]]
    states = np.bincount(row * len(State) + columns["state"], minlength=rows * len(State)).reshape(rows, len(State))
    probes = states.sum(axis=1)
    stale = np.bincount(row, columns["stale"], rows)
    runs = sums.runs.sum(axis=1)
    passed = sums.runs[:, _PASSED].sum(axis=1)
    shown = sorted(np.flatnonzero(probes).tolist(), key=numbering.values.__getitem__)
    quantiles = histogram.quantiles(np.ascontiguousarray(sums.histograms[shown]), QUANTILES, compact=sums.compact)
    return [
        Group(
            tags=dict(zip(numbering.by, numbering.values[at], strict=True)),
            probes=int(probes[at]),
            states=dict(zip(STATE_NAMES, states[at].tolist(), strict=True)),
            stale=int(stale[at]),
            runs=int(runs[at]),
            results=dict(zip(RESULT_NAMES, sums.runs[at].tolist(), strict=True)),
            rate_per_s=float(runs[at]) / sums.seconds if sums.seconds > 0 else None,
            success_ratio=float(passed[at]) / float(runs[at]) if runs[at] else None,
            p50_s=p50,
            p90_s=p90,
            p99_s=p99,
            window=window,
            seconds=sums.seconds,
            buckets=_filled(sums.histograms[at]) if buckets else None,
        )
        for at, (p50, p90, p99) in zip(shown, map(without_nan, quantiles.tolist()), strict=True)
    ]


def _filled(row: NDArray[np.uint64]) -> dict[float, int]:
    at = np.flatnonzero(row)
    return dict(zip(_BOUNDS_S[at].tolist(), row[at].tolist(), strict=True))


def without_nan(values: list[float]) -> list[float | None]:
    """None for what is not known."""
    return [None if value != value else value for value in values]  # noqa: PLR0124 - only nan differs from itself
