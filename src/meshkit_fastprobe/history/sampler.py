"""What the table has counted so far, copied a slice at a time: the one part of history that is done on the event loop.

Copying is all that happens here. What was counted since the last time is worked out elsewhere, from two of these.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.layout import TRANSITION
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.aggregation.windows import Windows, WindowSums
from meshkit_fastprobe.history.spans import OTHERS, Tags
from meshkit_fastprobe.probes.catalog import Catalog
from meshkit_fastprobe.turns import AT_ONCE, Turns

MAX_TAGS: Final = 1024
"""Groups that are told apart; later ones are counted together as OTHERS."""
SLICE: Final = 4096
"""Slots copied between two turns of the event loop: a fraction of a millisecond."""
HISTOGRAMS: Final = 1024
"""Rows of histograms copied between two turns."""
MAX_MOVES: Final = 200_000
"""Transitions between two samples that are remembered; times in states are inexact in a storm beyond it, and it is counted."""


class Sample(msgspec.Struct, frozen=True, eq=False):
    """Of one moment. Arrays are by slot."""

    now_ns: int
    wall_s: float
    generation: NDArray[np.uint32]
    state: NDArray[np.uint8]
    since_ns: NDArray[np.int64]
    runs: NDArray[np.uint32]
    """(slots, results), wrapping as the table's do"""
    transitions: NDArray[np.uint32]
    tags_of_slot: NDArray[np.intp]
    tags: list[Tags]
    sums: WindowSums
    """Since the table was made, by the order of `tags`."""
    fresh: list[tuple[int, str, Tags]]
    """Slots whose probe, or whose tags, are not those of the sample before."""
    moves: NDArray[np.void]
    moves_lost: int


class Histograms(msgspec.Struct, frozen=True, eq=False):
    """Rows of the table from the slot `first` on."""

    first: int
    generation: NDArray[np.uint32]
    rows: NDArray[Any]


class Clocks(Protocol):
    def now(self) -> tuple[int, float]:
        """The same moment on the scheduling and the wall clock."""


class Sampler:
    """Of one table. Used on trio's thread."""

    def __init__(self, table: Table, catalog: Catalog, windows: Windows, clocks: Clocks) -> None:
        self._table = table
        self._catalog = catalog
        self._windows = windows
        self._clocks = clocks
        self._generation = table.column("generation")
        self._group = table.column("group")
        self._state = table.column("state")
        self._since_ns = table.column("since_ns")
        self._row = table.column("row")
        self._histogram = table.column("histogram")
        self._known = np.zeros((2, 0), np.uint32)  # generation and group of each slot, as of the last sample
        self._tags: dict[Tags, int] = {OTHERS: 0}
        self._tags_of_group: list[int] = []
        self._moves: list[NDArray[np.void]] = []
        self._moves_kept = self._moves_lost = 0

    def moved(self, records: NDArray[np.void]) -> None:
        """Transitions as ingest hands them out; the array is kept."""
        if self._moves_kept + len(records) > MAX_MOVES:
            self._moves_lost += len(records)
            return
        self._moves.append(records)
        self._moves_kept += len(records)

    def forget(self) -> None:
        """Show all probes as fresh with the next sample."""
        self._known = np.zeros((2, 0), np.uint32)

    def take(self) -> Turns[Sample]:
        """All columns, in slices; what changes in between is told with the next sample, and nothing twice."""
        now_ns, wall_s = self._clocks.now()
        self._windows.frame(now_ns)
        yield
        moves, self._moves = self._moves, []
        lost, self._moves_lost, self._moves_kept = self._moves_lost, 0, 0
        of_group = self._number_groups()
        sums = self._windows.sums(None, of_group, len(self._tags))
        end = self._table.high_water
        generation, group = np.empty(end, np.uint32), np.empty(end, np.uint32)
        state, since_ns = np.empty(end, np.uint8), np.empty(end, np.int64)
        runs, transitions = np.empty((end, self._row["runs"].shape[1]), np.uint32), np.empty(end, np.uint32)
        for start in range(0, end, SLICE):
            part = slice(start, min(start + SLICE, end))
            generation[part], group[part] = self._generation[part], self._group[part]
            state[part], since_ns[part] = self._state[part], self._since_ns[part]
            runs[part], transitions[part] = self._row["runs"][part], self._row["transitions"][part]
            yield
        of_group = self._number_groups()  # some may have come meanwhile
        fresh = yield from self._fresh(generation, group)
        return Sample(
            now_ns=now_ns,
            wall_s=wall_s,
            generation=generation,
            state=state,
            since_ns=since_ns,
            runs=runs,
            transitions=transitions,
            tags_of_slot=of_group[group],
            tags=list(self._tags),
            sums=sums,
            fresh=fresh,
            moves=np.concatenate(moves) if moves else np.zeros(0, TRANSITION),
            moves_lost=lost,
        )

    def histograms(self, first: int) -> Histograms:
        """A slice of them: what one copies at once."""
        part = slice(first, min(first + HISTOGRAMS, self._table.high_water))
        return Histograms(first, self._generation[part].copy(), self._histogram[part].copy())

    @property
    def slots(self) -> int:
        return self._table.high_water

    def _number_groups(self) -> NDArray[np.intp]:
        """Numbers of tags by base group. Neither is ever renumbered."""
        groups = self._catalog.groups.tags
        for cluster, namespace, kind, _ in groups[len(self._tags_of_group) :]:
            tags = (cluster, namespace, kind)
            if tags not in self._tags and len(self._tags) >= MAX_TAGS:
                tags = OTHERS
            self._tags_of_group.append(self._tags.setdefault(tags, len(self._tags)))
        return np.array(self._tags_of_group, np.intp)

    def _fresh(self, generation: NDArray[np.uint32], group: NDArray[np.uint32]) -> Turns[list[tuple[int, str, Tags]]]:
        known = np.zeros((2, len(generation)), np.uint32)
        known[:, : self._known.shape[1]] = self._known
        changed = np.flatnonzero(((known[0] != generation) | (known[1] != group)) & (generation & 1 == 1)).tolist()
        self._known = np.stack([generation, group])
        fresh: list[tuple[int, str, Tags]] = []
        for start in range(0, len(changed), AT_ONCE):
            for slot in changed[start : start + AT_ONCE]:
                registration = self._catalog.at(slot)
                if registration is not None and registration.generation == generation[slot]:
                    options = registration.options
                    fresh.append((slot, registration.name, (options.cluster, options.namespace, registration.kind)))
            yield
        return fresh
