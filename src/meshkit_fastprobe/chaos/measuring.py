"""How long until the probes saw the fault, and how long until they saw it gone.

Both are taken from when runs were sent, not from when states changed: the first bad run, and the first of the good runs that
lasted. A probe that runs every T cannot tell better than T, so T stands beside each figure. Everything is on trio's clock; what
the wall clock does meanwhile changes nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.chaos.sight import group_names, rows_of
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.model import Result, State

MIN_LOOK_S: Final = 0.02
MAX_LOOK_S: Final = 0.5
_SAME_RUN_S: Final = 5e-3
"""Two readings of when one run began differ by rounding, and by what happens between two looks at a clock; hardly by this."""


class Observer:
    """Watches probes through one run. `look` often enough that no probe runs twice between two looks."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._size = 0
        self._last = np.empty(0)
        """When the last run that was seen of each slot began; NaN before the first."""
        self._first_bad = np.empty(0)
        self._good_since = np.empty(0)
        self._up = np.empty(0, np.bool_)
        self._samples = np.empty(0, np.int64)
        self._group = np.empty(0, object)
        self._period = np.empty(0)
        self._slots: NDArray[np.intp] = np.empty(0, np.intp)
        self.injected: float | None = None
        self.reverted: float | None = None

    def look(self, snapshot: Snapshot, now: float) -> float:
        """Take in what has run since; for how long nothing more needs to be seen. now: the snapshot's moment, trio's clock."""
        rows = rows_of(snapshot, self._selector)
        columns = snapshot.columns
        slots = columns["slot"][rows].astype(np.intp)
        self._grow(int(slots.max(initial=-1)) + 1)
        self._slots = slots
        began = now - (snapshot.taken_at - columns["last_run"][rows])
        fresh = np.isfinite(began) & ~(np.abs(began - self._last[slots]) < _SAME_RUN_S)
        self._last[slots] = np.where(fresh, began, self._last[slots])
        if self.injected is not None:
            # A run that began before the fault was there says nothing of it.
            fresh &= began >= self.injected
            self._count(slots[fresh], began[fresh], columns["last_result"][rows][fresh])
        self._up[slots] = columns["state"][rows] == State.HEALTHY
        self._group[slots] = group_names(snapshot, rows)
        self._period[slots] = columns["interval_s"][rows]
        shortest = float(columns["interval_s"][rows].min(initial=MAX_LOOK_S * 2))
        return min(max(shortest / 2, MIN_LOOK_S), MAX_LOOK_S)

    def _count(self, slots: NDArray[np.intp], began: NDArray[np.float64], result: NDArray[np.uint8]) -> None:
        self._samples[slots] += 1
        bad = result != Result.OK
        first = bad & np.isnan(self._first_bad[slots])
        self._first_bad[slots[first]] = began[first]
        self._good_since[slots[bad]] = np.nan
        turned = ~bad & np.isnan(self._good_since[slots])
        self._good_since[slots[turned]] = began[turned]

    @property
    def hurt(self) -> bool:
        """Whether any probe saw the fault."""
        return bool(np.isfinite(self._first_bad[self._slots]).any())

    @property
    def looked(self) -> bool:
        """Whether every probe has run since the fault was there."""
        return bool((self._samples[self._slots] > 0).all())

    @property
    def recovered(self) -> bool:
        """Whether every probe that was hurt is healthy again."""
        hurt = self._slots[np.isfinite(self._first_bad[self._slots])]
        return bool((self._up[hurt] & np.isfinite(self._good_since[hurt])).all())

    @property
    def seen(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each probe: when its first bad run was sent, and the first of the good ones that lasted. NaN: not yet."""
        return self._first_bad[self._slots], self._good_since[self._slots]

    def measures(self) -> tuple[Measure, ...]:
        groups = self._group[self._slots]
        return tuple(self._measure(str(name), self._slots[groups == name]) for name in np.unique(groups.astype(str)))

    def _measure(self, name: str, slots: NDArray[np.intp]) -> Measure:
        hurt = slots[np.isfinite(self._first_bad[slots])]
        detection_s = recovery_s = None
        if len(hurt) and self.injected is not None:
            detection_s = max(0.0, float(self._first_bad[hurt].min()) - self.injected)
        if len(hurt) and self.reverted is not None and (self._up[hurt] & np.isfinite(self._good_since[hurt])).all():
            recovery_s = max(0.0, float(self._good_since[hurt].max()) - self.reverted)
        return Measure(
            group=name,
            probes=len(slots),
            hurt=len(hurt),
            samples=int(self._samples[slots].sum()),
            detection_s=detection_s,
            recovery_s=recovery_s,
            error_s=float(self._period[hurt if len(hurt) else slots].max(initial=0.0)),
        )

    def _grow(self, size: int) -> None:
        if size <= self._size:
            return
        more = size - self._size
        self._last = np.concatenate([self._last, np.full(more, np.nan)])
        self._first_bad = np.concatenate([self._first_bad, np.full(more, np.nan)])
        self._good_since = np.concatenate([self._good_since, np.full(more, np.nan)])
        self._up = np.concatenate([self._up, np.zeros(more, np.bool_)])
        self._samples = np.concatenate([self._samples, np.zeros(more, np.int64)])
        self._group = np.concatenate([self._group, np.full(more, "", object)])
        self._period = np.concatenate([self._period, np.zeros(more)])
        self._size = size
