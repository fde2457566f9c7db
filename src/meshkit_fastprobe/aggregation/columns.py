"""The table's columns as people read them: copies of the live rows, wall-clock seconds, flags worked out."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.layout import NO_RESULT
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.model import Lane, Result, State

STALE_INTERVALS: Final = 3
"""Without a result for this many intervals a probe's state is old news."""

RESULT_NAMES: Final = tuple(result.name.lower() for result in Result)
_PLAIN: Final = ("state", "kind", "group")
_OF_ROW: Final = ("last_result", "last_reason", "last_detail", "transitions")
_NS_DIGITS: Final = 9


class Columns:
    """Reads columns of any slots. The views are taken once; the table's memory never moves."""

    def __init__(self, table: Table) -> None:
        plain = (*_PLAIN, "lane", "interval_ms")
        self._plain = {name: table.column(name) for name in plain}
        # Rows are gathered as plain words: NumPy copies a structured row field by field, fifty times slower.
        row = table.column("row")
        self._row_type = row.dtype
        self._row_words = row.view(np.uint64).reshape(table.capacity, -1)
        self._started_ns = row["last_started_ns"]
        self._since_ns = table.column("since_ns")
        self._skipped = table.column("skipped")
        self._latency_s = table.column("recent")["latency_s"]

    def read(self, slots: NDArray[np.intp], now_ns: int, wall_s: float) -> dict[str, NDArray[Any]]:
        """Rows of these slots, in their order. now_ns and wall_s are the same moment on the two clocks."""
        rows = self._row_words.take(slots, axis=0).view(self._row_type)[:, 0]
        columns: dict[str, NDArray[Any]] = {name: self._plain[name][slots] for name in _PLAIN}
        columns.update((name, np.ascontiguousarray(rows[name])) for name in _OF_ROW)
        columns.update((name, np.ascontiguousarray(rows["runs"][:, result])) for result, name in enumerate(RESULT_NAMES))

        interval_ms = self._plain["interval_ms"][slots]
        columns["skipped"] = self._skipped[slots]
        since_ns = self._since_ns[slots].astype(np.int64)
        started_ns = rows["last_started_ns"].astype(np.int64)
        ran = columns["last_result"] != NO_RESULT
        columns["stale"] = self._stale(slots, columns["state"], np.maximum(started_ns, since_ns), interval_ms, now_ns)
        columns["since"] = wall_s - (now_ns - since_ns) * 1e-9
        columns["last_run"] = np.where(ran, wall_s - (now_ns - started_ns) * 1e-9, np.nan)
        newest = (rows["remembered"].astype(np.intp) - 1) % self._latency_s.shape[1]
        columns["last_latency_s"] = np.where(ran, self._latency_s[slots, newest].astype(float).round(_NS_DIGITS), np.nan)
        columns["interval_s"] = interval_ms * 1e-3
        columns["slot"] = slots.astype(np.uint32)
        return columns

    def read_states(self, slots: NDArray[np.intp], now_ns: int) -> dict[str, NDArray[Any]]:
        """state, stale and group alone, as `read` has them, for a fifth of what all columns cost."""
        columns = {name: self._plain[name][slots] for name in ("state", "group")}
        started_ns, since_ns = (times[slots].astype(np.int64) for times in (self._started_ns, self._since_ns))
        interval_ms = self._plain["interval_ms"][slots]
        columns["stale"] = self._stale(slots, columns["state"], np.maximum(started_ns, since_ns), interval_ms, now_ns)
        return columns

    def _stale(
        self,
        slots: NDArray[np.intp],
        state: NDArray[np.uint8],
        told_ns: NDArray[np.int64],
        interval_ms: NDArray[Any],
        now_ns: int,
    ) -> NDArray[np.bool_]:
        at_rest = (state == State.PAUSED) | (self._plain["lane"][slots] == Lane.PASSIVE)
        stale: NDArray[np.bool_] = (now_ns - told_ns > STALE_INTERVALS * 1_000_000 * interval_ms.astype(np.int64)) & ~at_rest
        return stale
