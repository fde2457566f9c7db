from typing import Any, final

import numpy as np
from numpy.typing import NDArray

@final
class Table:
    """The one table: struct of arrays in C memory, NumPy views without a copy, read-only to callers."""

    def __new__(cls, capacity: int, groups: int, *, compact: bool = False) -> Table:
        """compact: histograms of half the size, their rows (109,); see histogram.fine."""
    def add(
        self,
        group: int,
        interval_ms: int,
        timeout_ms: int,
        degraded_above_us: int,
        kind: int,
        lane: int,
        rise: int,
        fall: int,
        now_ns: int,
    ) -> tuple[int, int]:
        """A slot and its generation. CapacityError when the table is full."""
    def remove(self, slot: int, generation: int) -> bool:
        """False when that generation is gone already."""
    def configure(
        self,
        slot: int,
        generation: int,
        group: int,
        interval_ms: int,
        timeout_ms: int,
        degraded_above_us: int,
        kind: int,
        lane: int,
        rise: int,
        fall: int,
    ) -> bool:
        """Change the settings of a probe, which keeps its state and counters. False when that generation is gone."""
    def watch(self, slot: int, generation: int, watched: bool) -> bool:
        """Whether ingest tells of this probe too when a change begins to be pending, or no longer is; False: it is gone."""

    def pause(self, slot: int, generation: int, now_ns: int, paused: bool) -> bool:
        """Pause, or back to UNKNOWN with clean streaks. False when that generation is gone."""
    def ingest(self, records: NDArray[np.void], n: int, out: NDArray[np.void]) -> int:
        """Take the first n records; transitions go to out (layout.TRANSITION, at least n long); how many there are."""
    def column(self, name: str) -> NDArray[Any]:
        """A read-only view of a column over all `capacity` slots: what fp_columns, fp_row and fp_history hold, by their names.

        Also runs_ok .. runs_error. histogram, used, runs and recent have a row a slot; columns out of a struct have its
        stride. `row` is all of fp_row, with dtype ROW. KeyError for another name.
        """
    def totals(self) -> dict[str, Any]:
        """runs[5], passive, skipped[256], transitions, stale_records, lag[216], lag_sum_s, lag_max_s."""
    @property
    def capacity(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def compact(self) -> bool: ...
    @property
    def high_water(self) -> int: ...
    @property
    def count(self) -> int: ...
    def merge_groups(self, n_groups: int, out_hist: NDArray[np.uint64], out_runs: NDArray[np.uint64]) -> None:
        """Cumulative sums per base group: out_hist (n_groups, 216), out_runs (n_groups, 5); overwritten."""
    def merge_sums(self, n_groups: int, out_latency_s: NDArray[np.float64], out_transitions: NDArray[np.uint64]) -> None:
        """Cumulative sums per base group, removed probes included: seconds of latency and transitions; overwritten."""
    def recent(self, slot: int) -> NDArray[np.void]:
        """A copy of the remembered results of one slot (layout.RECENT), oldest first."""
    def check(self) -> str | None:
        """None, or the name of the first broken invariant. Walks everything: for tests."""

ROW: np.dtype[np.void]
"""fp_row: what results rewrite."""
