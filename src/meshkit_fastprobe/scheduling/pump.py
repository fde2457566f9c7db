"""The pump: the one place where records leave the engine and enter the table.

Two sources feed it. The engine raises its eventfd (at most once per coalescing period) when native results, due notices or
deadlines wait; the Python lanes and report() fill a RecordBatch, and the first record in an empty batch wakes the flusher,
which waits one coalescing period for company. Either way ingest sees batches, never single results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import trio
from numpy.typing import NDArray

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.engine import Engine, notices_of
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe._native.table import Table

DRAIN_RECORDS: Final = 8192
"""Records taken in one go; at 3 ns each to ingest this holds the loop for well under a millisecond."""
DRAINS_IN_ONE_GO: Final = 4
IDLE_WAIT_S: Final = 3600.0
CLOCK_GRAIN_S: Final = 1e-6
"""trio's clock is a float: waiting a microsecond past a due time keeps rounding from waking us before it."""

Records = NDArray[np.void]
Notice = tuple[int, int, int, int, int]
"""slot, generation, when (of a due run: when it was due), detail, event."""


class Pump:
    """Moves records from engine and batch into the table and hands transitions and notices on."""

    def __init__(
        self,
        engine: Engine,
        table: Table,
        batch: RecordBatch,
        failures: Failures,
        *,
        notify_s: float,
        on_notices: Callable[[list[Notice]], None],
        on_transitions: Callable[[Records], None],
        on_ingested: Callable[[Records], None],
        on_explained: Callable[[dict[str, Any]], None],
    ) -> None:
        self._engine = engine
        self._table = table
        self._batch = batch
        self._failures = failures
        self._notify_s = notify_s
        self._on_notices = on_notices
        self._on_transitions = on_transitions
        self._on_ingested = on_ingested
        self._on_explained = on_explained
        self._records: Records = np.zeros(DRAIN_RECORDS, layout.RECORD)
        self._transitions: Records = np.zeros(max(DRAIN_RECORDS, batch.capacity), layout.TRANSITION)
        self._wanted = trio.Event()

    def wake(self) -> None:
        """Records wait in the batch, or commands in the engine's buffer: flush within one coalescing period."""
        if not self._wanted.is_set():
            self._wanted.set()

    async def run_threaded(self) -> None:
        """Drain the engine whenever its eventfd says so; the engine runs in its own thread."""
        while True:
            await trio.lowlevel.wait_readable(self._engine.notify_fd)
            self.drain()

    async def run_inline(self, now_ns: Callable[[], int]) -> None:
        """Step the engine inside trio: the same engine, on trio's clock."""
        while True:
            next_ns = self._engine.step(now_ns())
            self.drain()
            if next_ns == 0:
                await trio.lowlevel.checkpoint()
                continue
            until_s = trio.current_time() + IDLE_WAIT_S if next_ns < 0 else next_ns / 1e9 + CLOCK_GRAIN_S
            with trio.move_on_at(until_s):
                await trio.lowlevel.wait_readable(self._engine.poll_fd)

    async def run_flusher(self) -> None:
        """Empty the batch and the command buffer one coalescing period after they stopped being empty."""
        while True:
            await self._wanted.wait()
            await trio.sleep(self._notify_s)
            self._wanted = trio.Event()
            self.flush()

    def drain(self) -> bool:
        """Take what the engine has, in a bounded go; whether more may be left, for which it raises its eventfd again."""
        n = 0
        for _ in range(DRAINS_IN_ONE_GO):
            n = self._engine.drain(self._records)
            if n:
                for trace in self._engine.drain_traces(self._failures):  # a trace comes before its record
                    self._on_explained(trace)
                self._take(self._records, n)
                notices = notices_of(self._records, n)  # not by NumPy, which takes 50 us for it with cold caches
                if notices:
                    self._on_notices(notices)
            if n < DRAIN_RECORDS:
                break
        self.flush()
        return n == DRAIN_RECORDS

    def flush(self) -> None:
        """Ingest the batch and post gathered commands."""
        n = self._batch.size
        if n:
            self._failures.take(self._batch.array, n)
            self._take(self._batch.array, n)
            self._batch.clear()
        if self._engine.flush():
            self.wake()

    def _take(self, records: Records, n: int) -> None:
        changed = self._table.ingest(records, n, self._transitions)
        if changed:
            self._on_transitions(self._transitions[:changed].copy())
        self._on_ingested(records[:n])
