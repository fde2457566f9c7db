"""Sums per (cluster, namespace): what stays when an operator drops the per-probe series.

The table counts per base group (cluster, namespace, kind, labels). Here base groups are folded into rows, one a pair, numbered
in the order of their first appearance and never renumbered, so that label texts of rows can be kept.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.layout import HIST_BUCKETS, NO_RESULT
from meshkit_fastprobe.model import Result, State
from meshkit_fastprobe.telemetry.names import EDGES
from meshkit_fastprobe.telemetry.source import Source

GROUP_EDGES: Final = tuple((le, number) for number, (le, _) in enumerate(EDGES))
"""EDGES by the columns of GroupSums.buckets."""

_BUCKET_STARTS: Final = np.array([0, *(bucket + 1 for _, bucket in EDGES)])
_PASSED: Final = np.isin(np.arange(256), (Result.OK, Result.DEGRADED))


class GroupSums(msgspec.Struct, frozen=True, eq=False):
    """One row a (cluster, namespace); columns of equal length, each contiguous."""

    in_use: NDArray[np.uint32]
    """1, or 0 for a row nobody lives in and nothing ever ran in."""
    probes: NDArray[np.uint32]
    """By state: (states, rows)."""
    success: NDArray[np.float64]
    """NaN where no probe has run."""
    runs: NDArray[np.uint64]
    """By result: (results, rows)."""
    buckets: NDArray[np.uint64]
    """Not cumulative, by GROUP_EDGES and one beyond: (rows, edges + 1)."""
    latency_s: NDArray[np.float64]
    transitions: NDArray[np.uint64]
    flapping: NDArray[np.uint32]


class GroupRows:
    """The pairs seen so far, and the reading of their sums."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._row_of_pair: dict[tuple[str, str], int] = {}
        self._row_of_group = np.empty(0, np.intp)
        self.pairs: list[tuple[str, str]] = []
        table = source.table
        self._generation = table.column("generation")
        self._group = table.column("group")
        self._state = table.column("state")
        self._last_result = table.column("last_result")

    def read(self) -> GroupSums:
        """Sums as of now. O(base groups x 216 + probes), vectorised."""
        row_of_group = self._number_new_groups()
        rows, groups = len(self.pairs), len(row_of_group)
        table = self._source.table

        hist, runs = np.empty((groups, HIST_BUCKETS), np.uint64), np.empty((groups, len(Result)), np.uint64)
        latency_s, transitions = np.empty(groups), np.empty(groups, np.uint64)
        table.merge_groups(groups, hist, runs)
        table.merge_sums(groups, latency_s, transitions)
        runs_of_row = _fold(runs, row_of_group, rows)

        live = np.flatnonzero(self._generation[: table.high_water] & 1)
        row = row_of_group[self._group[live]]
        last_result = self._last_result[live]
        probes = np.bincount(self._state[live] * np.intp(rows) + row, minlength=len(State) * rows).reshape(len(State), rows)
        ran = np.bincount(row, last_result != NO_RESULT, rows)
        passed = np.bincount(row, _PASSED[last_result], rows)
        return GroupSums(
            in_use=np.asarray(probes.any(axis=0) | runs_of_row.any(axis=1), np.uint32),
            probes=probes.astype(np.uint32),
            success=np.divide(passed, ran, out=np.full(rows, np.nan), where=ran > 0),
            runs=np.ascontiguousarray(runs_of_row.T),
            buckets=_fold(np.add.reduceat(hist, _BUCKET_STARTS, axis=1), row_of_group, rows),
            latency_s=_fold(latency_s, row_of_group, rows),
            transitions=_fold(transitions, row_of_group, rows),
            flapping=np.bincount(row, self._source.flaps.flapping[live], rows).astype(np.uint32),
        )

    def _number_new_groups(self) -> NDArray[np.intp]:
        tags = self._source.catalog.groups.tags
        known = len(self._row_of_group)
        if len(tags) > known:
            self._row_of_group = np.concatenate([self._row_of_group, [self._row(*tag[:2]) for tag in tags[known:]]])
        return self._row_of_group

    def _row(self, cluster: str, namespace: str) -> int:
        pair = (cluster, namespace)
        row = self._row_of_pair.get(pair)
        if row is None:
            row = self._row_of_pair[pair] = len(self.pairs)
            self.pairs.append(pair)
        return row


def _fold(of_group: NDArray[Any], row_of_group: NDArray[np.intp], rows: int) -> NDArray[Any]:
    folded = np.zeros((rows, *of_group.shape[1:]), of_group.dtype)
    np.add.at(folded, row_of_group, of_group)
    return folded
