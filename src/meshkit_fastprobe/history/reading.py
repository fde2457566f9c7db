"""Questions to the history, each a function of the store: by group, by probe, the worst, and what is missing."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.layout import HIST_BUCKETS
from meshkit_fastprobe.history.chunks import CHUNK, COMPACT, P50, P99, RUNS, SAMPLES, STATE, STATE_MS, TRANSITIONS, place
from meshkit_fastprobe.history.spans import (
    COARSE_S,
    FINE_S,
    RESULTS,
    STATES,
    GroupSpan,
    Tags,
    begin_of,
    dense,
    merge,
    together,
)
from meshkit_fastprobe.history.store import Change, Store
from meshkit_fastprobe.model import Result, State

QUANTILES: Final = np.array([0.5, 0.9, 0.99])
MAX_CHANGES: Final = 1000
"""Changes of one probe that one answer tells."""
EXAMINED: Final = 10_000
"""Candidates that are looked at to find the worst that the asker may see."""
FOLDED_AT: Final = 64
"""Spans of one group and step that are held before they are merged: a step can be of a year."""
_BAD: Final = [Result.FAIL, Result.TIMEOUT, Result.ERROR]
_MIDDLES: Final = {
    compact: histogram.quantiles(np.eye(HIST_BUCKETS, dtype=np.uint64), np.array([0.5]), compact=compact)[:, 0]
    for compact in (False, True)
}
"""What a quantile in each bucket reads."""


class Stretch(msgspec.Struct, frozen=True):
    """From `start` until just before `end`, whole seconds since the epoch, in steps; None: all of it in one."""

    start: int
    end: int
    step_s: int | None

    @property
    def is_fine(self) -> bool:
        return self.step_s is not None and self.step_s < COARSE_S

    def begin(self, at: int) -> int:
        """Of the step that this moment belongs to."""
        return self.start if self.step_s is None else self.start + (at - self.start) // self.step_s * self.step_s


class TooManyError(Exception):
    """An answer would have more items than it may have."""


class GroupStep(msgspec.Struct, frozen=True):
    start: int
    tags: tuple[str, ...]
    """Values of what was grouped by."""
    span: GroupSpan
    quantiles: tuple[float, float, float]
    """nan: nothing ran; inf: among the timeouts."""


class ProbeStep(msgspec.Struct, frozen=True):
    """quantiles are there for steps of a quarter alone: they do not add up."""

    start: int
    runs: tuple[int, ...]
    state_ms: tuple[int, ...]
    transitions: int
    state: int
    quantiles: tuple[float, float, float] | None = None


class Offender(msgspec.Struct, frozen=True):
    name: str
    tags: Tags
    runs: tuple[int, ...]
    state_ms: tuple[int, ...]
    transitions: int


def lengths(store: Store, stretch: Stretch) -> Iterator[tuple[int, int, int]]:
    """(length, start, end): which spans cover the stretch. Quarters where they are made, minutes where not yet."""
    start, end = begin_of(stretch.start, FINE_S), stretch.end
    if stretch.is_fine:
        yield FINE_S, start, end
        return
    made = {at for at, _ in store.spans(COARSE_S, start, end)}
    yield COARSE_S, start, end
    left = sorted({begin_of(at, COARSE_S) for at, _ in store.spans(FINE_S, start, end)} - made)
    for quarter in left:
        yield FINE_S, max(quarter, start), min(quarter + COARSE_S, end)


def covered(store: Store, stretch: Stretch) -> list[tuple[int, int, int]]:
    """(start, length, covered_ms) of all spans that there are, oldest first."""
    parts = [(at, length, ms) for length, start, end in lengths(store, stretch) for at, ms in store.spans(length, start, end)]
    return sorted(parts)


def by_group(store: Store, stretch: Stretch, wanted: Mapping[int, tuple[str, ...]], limit: int) -> list[GroupStep]:
    """Groups merged by their values in `wanted`, which has those that may be told of by number; by step, then by values.

    TooManyError beyond `limit`. What is held at any time is what is told, and a few spans of each group in one step.
    """
    told: list[GroupStep] = []
    parts = (store.group_spans(length, start, end) for length, start, end in lengths(store, stretch))
    in_order = heapq.merge(*parts, key=itemgetter(0))
    for begin, rows in groupby(in_order, lambda row: stretch.begin(row[0])):
        spans: dict[tuple[str, ...], dict[int, list[GroupSpan]]] = {}
        for _, number, span in rows:
            values = wanted.get(number)
            if values is not None:
                _fold(spans.setdefault(values, {}).setdefault(number, []), span)
        if len(told) + len(spans) > limit:
            raise TooManyError
        for values, of_groups in sorted(spans.items()):
            merged = together([merge(found) for found in of_groups.values()])
            row = dense([merged])[np.newaxis]
            quantiles = histogram.quantiles(row, QUANTILES, compact=merged.compact)[0].tolist()
            told.append(GroupStep(begin, values, merged, tuple(quantiles)))
    return told


def _fold(found: list[GroupSpan], span: GroupSpan) -> None:
    """Oldest first. Merging what was merged is exact: everything in it is a sum, or that of the last."""
    found.append(span)
    if len(found) >= FOLDED_AT:
        found[:] = [merge(found)]


def of_probe(store: Store, name: str, stretch: Stretch) -> tuple[list[ProbeStep], list[Change]]:
    """Steps of one probe, and what changed; nothing of one that history does not know."""
    number = store.number_of(name)
    if number is None:
        return [], []
    chunk, at_place = place(number)
    steps: dict[int, NDArray[np.uint64]] = {}
    for length, start, end in lengths(store, stretch):
        for at, found in store.chunk_spans(length, chunk, start, end):
            if found.present[at_place]:
                column = found.cells[:, at_place].astype(np.uint64)
                sums = steps.setdefault(stretch.begin(at), np.zeros(len(column), np.uint64))
                sums[:STATE] += column[:STATE]
                sums[STATE] = column[STATE]
    quantiles: dict[int, tuple[float, float, float]] = {}
    if stretch.step_s == COARSE_S:
        for at, found in store.latency_spans(chunk, begin_of(stretch.start, COARSE_S), stretch.end):
            if found.present[at_place] and found.cells[SAMPLES, at_place]:
                cells = found.cells[:, at_place]
                p50, p90, p99 = _MIDDLES[bool(cells[COMPACT])][cells[P50 : P99 + 1]].tolist()
                quantiles[stretch.begin(at)] = (p50, p90, p99)
    told = [
        ProbeStep(
            at,
            tuple(sums[RUNS].tolist()),
            tuple(sums[STATE_MS].tolist()),
            int(sums[TRANSITIONS]),
            int(sums[STATE]),
            quantiles.get(at),
        )
        for at, sums in sorted(steps.items())
    ]
    return told, store.changes(number, stretch.start * 1000, stretch.end * 1000, MAX_CHANGES)


def worst(store: Store, stretch: Stretch, limit: int, may_see: Callable[[str, Tags], bool]) -> list[Offender]:
    """Probes by the time that they were unhealthy, then by the runs that failed; those that did neither are not told."""
    found: list[tuple[int, int, int]] = []
    sums_of: dict[int, NDArray[np.uint64]] = {}
    parts = list(lengths(store, stretch))
    for chunk in store.chunk_numbers():
        sums = np.zeros((STATE, CHUNK), np.uint64)
        for length, start, end in parts:
            store.accumulate(length, chunk, start, end, sums)
        unhealthy_ms = sums[RESULTS + State.UNHEALTHY]
        failed = sums[_BAD].sum(axis=0)
        bad = np.flatnonzero((unhealthy_ms > 0) | (failed > 0))
        found += zip(unhealthy_ms[bad].tolist(), failed[bad].tolist(), (bad + chunk * CHUNK).tolist(), strict=True)
        if bad.size:
            sums_of[chunk] = sums
    told: list[Offender] = []
    for _, _, number in sorted(found, key=lambda one: (-one[0], -one[1], one[2]))[:EXAMINED]:
        named = store.named(number)
        if named is None or not may_see(*named):
            continue
        chunk, at_place = place(number)
        column = sums_of[chunk][:, at_place].tolist()
        runs, state_ms = tuple(column[:RESULTS]), tuple(column[RESULTS : RESULTS + STATES])
        told.append(Offender(*named, runs, state_ms, column[TRANSITIONS]))
        if len(told) == limit:
            break
    return told
