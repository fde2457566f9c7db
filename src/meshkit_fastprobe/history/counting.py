"""What was counted between two samples: in a thread, from copies.

Counters begin anew with a process, and with each probe that takes over a slot: what is counted is what came after, never a
difference to somebody else's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe.aggregation.windows import WindowSums
from meshkit_fastprobe.history.chunks import (
    CHUNK,
    COMPACT,
    LATENCY_WIDTH,
    P50,
    P99,
    RUNS,
    SAMPLES,
    STATE,
    STATE_MS,
    TRANSITIONS,
    WIDTH,
    Chunk,
)
from meshkit_fastprobe.history.sampler import Histograms, Sample
from meshkit_fastprobe.history.spans import FINE_S, STATES, GroupSpan, Tags, begin_of, sparse
from meshkit_fastprobe.history.store import Change, Minute
from meshkit_fastprobe.history.times import state_times

MAX_CHANGES: Final = 10_000
"""Changes of state that are kept one by one of one minute; more are counted in the sums alone."""
LONGEST_S: Final = 1.5 * FINE_S
"""Between two samples. A longer pause (a suspended host) was watched by nobody: only its last minute is told of."""
_NS: Final = 1_000_000_000
_QUANTILES: Final = np.array([0.5, 0.9, 0.99])
_UP: Final = 1.0001

Number = Callable[[Iterable[tuple[str, Tags]]], list[int]]
"""Gives probes the numbers that the store knows them by."""


class Counting:
    """Remembers the last sample of one table."""

    def __init__(self, before: Sample) -> None:
        self._before = before
        self._numbers = np.full(0, -1, np.int64)
        self._unnumbered = list(before.fresh)
        self._rows: dict[int, _Rows] = {}
        self.changes_lost = 0

    @property
    def slots_of_numbers(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Slots that have a probe with a number, by their numbers."""
        slots = np.flatnonzero(self._numbers >= 0)
        order = np.argsort(self._numbers[slots], kind="stable")
        return slots[order], self._numbers[slots[order]]

    def forget_numbers(self) -> None:
        """They were those of another file: nothing is told of single probes until a sample shows all of them as fresh."""
        self._numbers = np.full(0, -1, np.int64)
        self._unnumbered = []

    def take(self, sample: Sample, number: Number) -> Minute:
        """What came between the last sample and this one."""
        self._renumber(sample, number)  # may fail, and is tried again then: nothing of the minute is gone yet
        before, self._before = self._before, sample
        begin_ns = before.now_ns
        if sample.now_ns - begin_ns > LONGEST_S * _NS:
            begin_ns = sample.now_ns - FINE_S * _NS
        covered_ms = (sample.now_ns - begin_ns) // 1_000_000
        start = begin_of(sample.wall_s - covered_ms / 2000, FINE_S)
        cells = self._cells(before, sample, begin_ns)
        in_use = sample.generation & 1 == 1
        return Minute(
            start=start,
            covered_ms=covered_ms,
            groups=_groups(before.sums, sample, cells, in_use, covered_ms),
            probes=self._chunks(cells),
            changes=self._changes(sample),
        )

    def skip(self, sample: Sample) -> None:
        """What came up to this one is lost: the next minute must not have its runs, too."""
        if self._before is not sample:
            self._before = sample
            self._unnumbered += sample.fresh

    def latencies(self, part: Histograms) -> Iterable[tuple[int, Chunk]]:
        """Quantiles of each probe of a slice of slots, since the last time it was shown here; by chunk."""
        rows = self._rows.get(part.first)
        grown = rows.difference(part) if rows is not None else histogram.fine(part.rows)
        self._rows[part.first] = _Rows(part)
        samples = grown.sum(axis=1)
        compact = part.rows.shape[1] != grown.shape[1]
        quantiles = histogram.quantiles(grown, _QUANTILES, compact=compact)
        # They are middles of buckets. That of a compact one is the bound between two of ours, and belongs to the upper.
        buckets = np.searchsorted(_BOUNDS, np.nan_to_num(quantiles, posinf=np.inf) * _UP)
        numbers = np.full(len(samples), -1, np.int64)
        known = self._numbers[part.first : part.first + len(samples)]
        numbers[: len(known)] = known
        told = np.flatnonzero((numbers >= 0) & (samples > 0))
        cells = np.zeros((LATENCY_WIDTH, len(told)), np.uint32)
        cells[P50 : P99 + 1] = buckets[told].T
        cells[SAMPLES] = samples[told]
        cells[COMPACT] = compact
        return _by_chunk(numbers[told], cells)

    def _renumber(self, sample: Sample, number: Number) -> None:
        numbers = np.full(len(sample.generation), -1, np.int64)
        numbers[: len(self._numbers)] = self._numbers
        numbers[sample.generation & 1 == 0] = -1
        self._numbers = numbers
        self._unnumbered += sample.fresh
        if self._unnumbered:
            named = {slot: (name, tags) for slot, name, tags in self._unnumbered}
            numbers[list(named)] = number(named.values())
            self._unnumbered = []

    def _cells(self, before: Sample, sample: Sample, begin_ns: int) -> NDArray[np.uint32]:
        """Columns as chunks have them, by slot."""
        slots = len(sample.generation)
        fresh = _grown(before.generation, slots, 0) != sample.generation
        earlier = np.where(fresh[:, np.newaxis], 0, _grown(before.runs, slots, 0))
        cells = np.zeros((WIDTH, slots), np.uint32)
        cells[RUNS] = (sample.runs - earlier).T
        cells[TRANSITIONS] = sample.transitions - np.where(fresh, 0, _grown(before.transitions, slots, 0))
        cells[STATE] = sample.state
        moves = sample.moves
        moves = moves[(moves["slot"] < slots) & (moves["before"] != moves["after"])]
        moves = moves[sample.generation[moves["slot"]] == moves["generation"]]
        times_ns = state_times(
            begin_ns,
            sample.now_ns,
            moves,
            before=_grown(before.state, slots, 0),
            state=sample.state,
            since_ns=sample.since_ns,
            fresh=fresh,
        )
        cells[STATE_MS] = (times_ns // 1_000_000).T
        cells[:, sample.generation & 1 == 0] = 0
        return cells

    def _chunks(self, cells: NDArray[np.uint32]) -> dict[int, Chunk]:
        slots, numbers = self.slots_of_numbers
        return dict(_by_chunk(numbers, cells[:, slots]))

    def _changes(self, sample: Sample) -> list[Change]:
        moves = sample.moves
        moves = moves[(moves["before"] != moves["after"]) & (moves["slot"] < len(self._numbers))]
        moves = moves[sample.generation[moves["slot"]] == moves["generation"]]
        self.changes_lost += max(0, len(moves) - MAX_CHANGES) + sample.moves_lost
        moves = moves[:MAX_CHANGES]
        numbers = self._numbers[moves["slot"]]
        at_ms = ((moves["at_ns"].astype(np.int64) - sample.now_ns) // 1_000_000) + int(sample.wall_s * 1000)
        told = zip(
            at_ms.tolist(), numbers.tolist(), *(moves[name].tolist() for name in ("before", "after", "reason")), strict=True
        )
        return [Change(*change) for change in told if change[1] >= 0]


class _Rows:
    """Histograms of a slice of slots as they were, without what is empty: some thirty of their 216 buckets are used."""

    def __init__(self, part: Histograms) -> None:
        flat = part.rows.reshape(-1)
        self._index = np.flatnonzero(flat).astype(np.uint32)
        self._count = flat[self._index]
        self._generation = part.generation

    def difference(self, part: Histograms) -> NDArray[np.uint64]:
        """(slots, 216). A row that has become less was begun anew since: it counts as it is."""
        earlier = np.zeros_like(part.rows).reshape(-1)
        known = self._index < earlier.size
        earlier[self._index[known]] = self._count[known]
        before: NDArray[Any] = earlier.reshape(part.rows.shape)
        other = _grown(self._generation, len(part.generation), 0) != part.generation
        anew = other | (part.rows < before).any(axis=1)
        before[anew] = 0
        return histogram.fine(part.rows - before)


def _groups(
    before: WindowSums, sample: Sample, cells: NDArray[np.uint32], in_use: NDArray[np.bool_], covered_ms: int
) -> dict[Tags, GroupSpan]:
    rows = len(sample.tags)
    of_slot = sample.tags_of_slot[in_use]
    cells = cells[:, in_use]
    sums = np.stack([np.bincount(of_slot, column, rows) for column in cells[:STATE]]).astype(np.int64)
    states = np.bincount(of_slot * STATES + cells[STATE], minlength=rows * STATES).reshape(rows, STATES)
    runs = _grown(sample.sums.runs, rows, 0) - _grown(before.runs, rows, 0)
    buckets = _grown(sample.sums.histograms, rows, 0) - _grown(before.histograms, rows, 0)
    probes = states.sum(axis=1)
    told: dict[Tags, GroupSpan] = {}
    for row in np.flatnonzero((probes > 0) | (runs.sum(axis=1) > 0)).tolist():
        used, counts = sparse(buckets[row])
        told[sample.tags[row]] = GroupSpan(
            covered_ms=covered_ms,
            probes=int(probes[row]),
            states=tuple(states[row].tolist()),
            runs=tuple(runs[row].tolist()),
            state_ms=tuple(sums[STATE_MS, row].tolist()),
            transitions=int(sums[TRANSITIONS, row]),
            buckets=used,
            counts=counts,
            compact=sample.sums.compact,
        )
    return told


def _by_chunk(numbers: NDArray[np.int64], cells: NDArray[np.uint32]) -> Iterable[tuple[int, Chunk]]:
    """numbers: of the columns of cells, each once."""
    order = np.argsort(numbers, kind="stable")
    numbers, cells = numbers[order], cells[:, order]
    of_chunk, places = numbers // CHUNK, numbers % CHUNK
    if not len(numbers):
        return
    starts = np.flatnonzero(np.r_[True, of_chunk[1:] != of_chunk[:-1]]).tolist()
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        chunk = Chunk.empty(len(cells))
        chunk.present[places[start:end]] = True
        chunk.cells[:, places[start:end]] = cells[:, start:end]
        yield int(of_chunk[start]), chunk


def _grown(column: NDArray[Any], length: int, empty: int) -> NDArray[Any]:
    """As long as that, or cut to it."""
    if len(column) >= length:
        return column[:length]
    grown = np.full((length, *column.shape[1:]), empty, column.dtype)
    grown[: len(column)] = column
    return grown


_BOUNDS: Final = histogram.upper_bounds_s()
