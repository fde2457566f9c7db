"""Sums of the last minute, five minutes and hour per group, out of histograms and counters that only ever grow.

Every few seconds the table's cumulative sums per base group are merged, and what changed since the last merge is kept as a
frame. A window is the sum of the frames that cover it. Frames are joined as they age: the longer a window, the less its edge
matters.

    age         frames of       so a window is too long by
    to 1 min    frame_s         at most frame_s
    to 5 min    30 s            at most 30 s
    to 1 h      5 min           at most 5 min

The time really covered is told with each answer, and rates divide by it.
"""

from __future__ import annotations

from collections import deque
from itertools import chain, takewhile
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.layout import HIST_BUCKETS
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.aggregation.frames import Frame, Sparse, fold
from meshkit_fastprobe.model import Result
from meshkit_fastprobe.probes.catalog import Groups

WINDOWS: Final = {"1m": 60.0, "5m": 300.0, "1h": 3600.0}
"""Seconds of each window people can ask for."""

_JOINED_S: Final = (30.0, 300.0)
"""How long the frames become that have left the 1m and the 5m window."""
_RESULTS: Final = len(Result)


class WindowSums(msgspec.Struct, frozen=True, eq=False):
    """What rows of groups have counted in a window."""

    histograms: NDArray[np.uint64]
    """(rows, 216)"""
    runs: NDArray[np.uint64]
    """(rows, results)"""
    seconds: float
    """The time covered: less than the window while the process is young, more by a part of a frame otherwise."""
    compact: bool
    """Whether the histograms are sums of compact rows."""


class Windows:
    """Frames of one table. `frame` is called every frame_s seconds, and by whoever wants the newest results to count.

    The first call is the beginning: what was counted before belongs to no window.
    """

    def __init__(self, table: Table, groups: Groups, frame_s: float) -> None:
        self._table = table
        self._groups = groups
        self._frame_ns = int(frame_s * 1e9)
        self._tiers: tuple[deque[Frame], ...] = tuple(deque() for _ in WINDOWS)
        self._keep_ns = tuple(int(seconds * 1e9) for seconds in WINDOWS.values())
        self._joined_ns = tuple(int(seconds * 1e9) for seconds in _JOINED_S)
        self._merged = _Merge(0)
        self._spare = _Merge(0)
        self.started_ns: int | None = None
        self.merged_ns = 0

    @property
    def frames(self) -> int:
        """How many are kept: bounded, some 60 at most."""
        return sum(map(len, self._tiers))

    def frame(self, now_ns: int) -> None:
        """Merge now. Calls in between make no more frames: neighbours that fit in frame_s together are joined."""
        now_ns = max(now_ns, self.merged_ns)
        before, after = self._merged, self._spare
        if len(self._groups) > after.groups:
            after = _Merge(len(self._groups))
        before.grow(after.groups)
        self._table.merge_groups(after.groups, after.histograms, after.runs)
        if self.started_ns is None:
            self.started_ns = now_ns
        else:
            frame = Frame(
                self.merged_ns,
                now_ns,
                Sparse.difference(after.histograms, before.histograms),
                Sparse.difference(after.runs, before.runs),
            )
            self._append(frame)
            self._age(now_ns)
        self._merged, self._spare, self.merged_ns = after, before, now_ns

    def sums(self, window: str | None, row_of_group: NDArray[np.intp], rows: int) -> WindowSums:
        """Sums of the window up to the last merge, or of the whole life for None; group g counts in row row_of_group[g].

        ValueError for a window that does not exist.
        """
        if window is None:
            covered_ns = self.merged_ns - (self.started_ns or 0)
            buckets = [Sparse.of(self._merged.histograms)]
            runs = [Sparse.of(self._merged.runs)]
        else:
            covering = self._covering(window)
            covered_ns = self.merged_ns - covering[-1].start_ns if covering else 0
            buckets = [frame.buckets for frame in covering]
            runs = [frame.runs for frame in covering]
        return WindowSums(
            histograms=fold(buckets, row_of_group, rows, HIST_BUCKETS),
            runs=fold(runs, row_of_group, rows, _RESULTS),
            seconds=covered_ns / 1e9,
            compact=self._table.compact,
        )

    def _covering(self, window: str) -> list[Frame]:
        """Newest first."""
        if window not in WINDOWS:
            raise ValueError(f"window {window!r} does not exist; there are {', '.join(WINDOWS)}")
        begin_ns = self.merged_ns - int(WINDOWS[window] * 1e9)
        newest_first = chain.from_iterable(map(reversed, self._tiers))
        return list(takewhile(lambda frame: frame.end_ns > begin_ns, newest_first))

    def _append(self, frame: Frame) -> None:
        newest = self._tiers[0]
        if newest and frame.end_ns - newest[-1].start_ns <= self._frame_ns:
            frame = Frame.join([newest.pop(), frame])
        newest.append(frame)

    def _age(self, now_ns: int) -> None:
        for tier, joined_ns in enumerate(self._joined_ns):
            young, old = self._tiers[tier], self._tiers[tier + 1]
            while aged := _take_aged(young, now_ns - self._keep_ns[tier], joined_ns):
                old.append(Frame.join(aged))
        oldest = self._tiers[-1]
        while oldest and oldest[0].end_ns <= now_ns - self._keep_ns[-1]:
            oldest.popleft()


class _Merge:
    """The cumulative sums of one moment."""

    def __init__(self, groups: int) -> None:
        self.groups = groups
        self.histograms = np.zeros((groups, HIST_BUCKETS), np.uint64)
        self.runs = np.zeros((groups, _RESULTS), np.uint64)

    def grow(self, groups: int) -> None:
        """Groups that were not there yet had counted nothing."""
        more = groups - self.groups
        if more > 0:
            self.groups = groups
            self.histograms = np.concatenate([self.histograms, np.zeros((more, HIST_BUCKETS), np.uint64)])
            self.runs = np.concatenate([self.runs, np.zeros((more, _RESULTS), np.uint64)])


def _take_aged(frames: deque[Frame], horizon_ns: int, joined_ns: int) -> list[Frame]:
    """Take off the oldest frames that make one of joined_ns, once that one is full and all of it beyond the horizon."""
    taken = 0
    for frame in frames:
        if frame.end_ns > horizon_ns:
            return []
        if taken and frame.end_ns - frames[0].start_ns > joined_ns:
            break
        taken += 1
    else:
        return []
    return [frames.popleft() for _ in range(taken)]
