"""Keeping the history of one host: a sample a minute, written by a thread, and never in the way of probing.

What goes wrong with the file costs history alone: it is counted, logged once, and told as `problem` until it is over. A file
that is damaged is moved aside, and another is begun.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import trio
from numpy.typing import NDArray

from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.aggregation.windows import Windows
from meshkit_fastprobe.history.chunks import Chunk, DamageError
from meshkit_fastprobe.history.counting import Counting
from meshkit_fastprobe.history.sampler import HISTOGRAMS, Clocks, Histograms, Sample, Sampler
from meshkit_fastprobe.history.spans import COARSE_S, FINE_S, begin_of
from meshkit_fastprobe.history.store import HistoryError, Minute, Store, TooLongError
from meshkit_fastprobe.in_turns import in_turns
from meshkit_fastprobe.model import HistorySettings, Settings
from meshkit_fastprobe.probes.catalog import Catalog
from meshkit_fastprobe.telemetry.usage import HistoryUse

FILE: Final = "history.db"
ANSWER_S: Final = 8.0
"""For a question: the minutes are written by the same thread. 80 groups over 90 days take most of it, and clients wait 10 s."""
MAX_WAITING: Final = 16
"""Questions at a time, with the one that is being answered."""
LAST_S: Final = 3.0
"""For what is written when the host leaves."""

T = TypeVar("T")
log = logging.getLogger("meshkit_fastprobe.history")


class Elsewhere(Protocol):
    """Runs what blocks."""

    async def __call__(self, call: Callable[[], T]) -> T: ...


class History:
    """`async with keeping()` keeps it. directory None: there is none, and asking for it is refused."""

    def __init__(
        self,
        settings: HistorySettings,
        directory: Path | None,
        sampler: Sampler,
        *,
        elsewhere: Elsewhere,
        wall_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._path = directory / FILE if directory is not None and settings.enabled else None
        self._sampler = sampler
        self._elsewhere = elsewhere
        self._wall_s = wall_s
        self._store: Store | None = None
        self._counting: Counting | None = None
        self._spans = self._lost = self._bytes = 0
        self._problem = ""
        self._seen_at_s = 0.0
        self._is_new_file = False
        self._waiting = 0
        self._leaves = False

    @property
    def is_on(self) -> bool:
        return self._path is not None

    @property
    def use(self) -> HistoryUse:
        changes_lost = 0 if self._counting is None else self._counting.changes_lost
        return HistoryUse(self._bytes, self._spans, self._lost, changes_lost, self._problem)

    def moved(self, records: NDArray[np.void]) -> None:
        """Transitions of the table, as they come; the array is kept."""
        if self._counting is not None:
            self._sampler.moved(records)

    async def ask(self, question: Callable[[Store], T]) -> T:
        """What the question finds, in the writer's thread. HistoryError when there is no history, or it cannot be read."""
        if self._path is None:
            raise HistoryError("this host keeps no history: it has no state_dir, or [history] enabled = false")
        if self._waiting >= MAX_WAITING:
            raise HistoryError(f"{MAX_WAITING} questions wait for the history already: ask again later")
        self._waiting += 1
        try:
            return await self._elsewhere(partial(self._answer, question))
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Keep it while this lasts."""
        if self._path is None:
            yield
            return
        self._leaves = False
        self._counting = Counting(await in_turns(self._sampler.take()))
        await self._elsewhere(self._open)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep)
            try:
                yield
            finally:
                self._leaves = True  # and the question that runs ends, so that the last minute is written
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST_S):
                    await self._turn(last=True)
                with trio.CancelScope(shield=True):
                    await self._elsewhere(self._close)

    # -- on trio's thread ----------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            now_s = self._wall_s()
            await trio.sleep(begin_of(now_s, FINE_S) + FINE_S - now_s)
            await self._turn(last=False)

    async def _turn(self, *, last: bool) -> None:
        """A minute is over, or the host leaves."""
        if self._is_new_file:
            self._is_new_file = False
            self._sampler.forget()
        sample = await in_turns(self._sampler.take())
        assert self._counting is not None
        start = begin_of(sample.wall_s - 1, COARSE_S)
        if not await self._elsewhere(lambda: self._append(sample)):
            return
        if last or begin_of(sample.wall_s, COARSE_S) != begin_of(sample.wall_s - FINE_S, COARSE_S):
            for first in range(0, self._sampler.slots, HISTOGRAMS):
                part = self._sampler.histograms(first)
                await self._elsewhere(partial(self._put_latencies, part, start))
        await self._elsewhere(lambda: self._write(lambda _: sample.wall_s, self._tidy))

    # -- on the writer's thread ------------------------------------------------------------------------------------------------

    def _append(self, sample: Sample) -> bool:
        counting = self._counting
        assert counting is not None

        def put(store: Store, minute: Minute) -> None:
            store.append(minute)
            self._spans += 1

        if self._write(lambda store: counting.take(sample, partial(store.number, now_s=sample.wall_s)), put):
            return True
        counting.skip(sample)
        return False

    def _put_latencies(self, part: Histograms, start: int) -> None:
        counting = self._counting
        assert counting is not None

        def put(store: Store, told: list[tuple[int, Chunk]]) -> None:
            for number, chunk in told:
                store.put_latencies(number, start, chunk)

        self._write(lambda _: list(counting.latencies(part)), put)

    def _tidy(self, store: Store, now_s: float) -> None:
        assert self._counting is not None
        if now_s - self._seen_at_s >= COARSE_S:
            store.seen(self._counting.slots_of_numbers[1].tolist(), now_s)
            self._seen_at_s = now_s
        store.roll_up(now_s)
        store.forget(now_s)
        self._bytes = store.used_bytes

    def _write(self, take: Callable[[Store], T], put: Callable[[Store, T], None]) -> bool:
        """Whether it was written. A full file lets go its oldest days, and what was taken is put again, once.

        It is not taken again: what was counted since the last time is told a single time.
        """
        taken: list[T] = []
        if self._store is None:
            self._open()
        for attempt in (1, 2):
            if self._store is None:
                self._lost += 1
                return False
            try:
                if not taken:
                    taken.append(take(self._store))
                put(self._store, taken[0])
            except Exception as error:  # noqa: BLE001 - whatever goes wrong here costs history, and nothing else
                if attempt == 1 and _is_full(error) and self._make_room(self._store):
                    continue
                self._fail(error)
                self._lost += 1
                return False
            if self._problem:
                log.warning("the history is kept again: %d minutes are missing", self._lost)
                self._problem = ""
            return True
        return False

    def _make_room(self, store: Store) -> bool:
        try:
            return store.make_room()
        except sqlite3.Error:
            return False

    def _open(self) -> None:
        assert self._path is not None
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store = Store(self._path, keep_s=self._settings.keep_s, max_bytes=self._settings.max_bytes)
            self._is_new_file = True
            assert self._counting is not None
            self._counting.forget_numbers()
        except (HistoryError, OSError) as error:
            self._fail(error.__cause__ if isinstance(error.__cause__, sqlite3.DatabaseError) else error)

    def _answer(self, question: Callable[[Store], T]) -> T:
        if self._store is None:
            raise HistoryError(f"the history cannot be read: {self._problem or 'it is not open'}")
        if self._leaves:
            raise HistoryError("the history cannot be read: the host leaves")
        end_s = time.monotonic() + ANSWER_S
        try:
            with self._store.asked_until(lambda: self._leaves or time.monotonic() > end_s):
                return question(self._store)
        except TooLongError:
            raise HistoryError("that takes too long: ask for less time, or less at once") from None
        except (sqlite3.Error, DamageError) as error:
            self._fail(error)
            raise HistoryError(f"the history cannot be read: {error}") from error

    def _fail(self, error: BaseException) -> None:
        """Told once, until it is over."""
        if not self._problem:
            log.error("no history is kept, and probing goes on: %s: %s", self._path, error)
        self._problem = str(error)
        if _is_damage(error):
            self._put_aside()

    def _put_aside(self) -> None:
        assert self._path is not None
        self._close()
        with suppress(OSError):
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._path.replace(self._path.with_name(f"{FILE}.damaged"))
            log.error("%s is damaged: it was moved to %s.damaged, and a new one is begun", self._path, FILE)

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(sqlite3.Error):
                store.close()


def history_of(settings: Settings, table: Table, catalog: Catalog, windows: Windows, clocks: Clocks) -> History:
    """That of a host with these settings."""
    directory = None if settings.state_dir is None else Path(settings.state_dir)
    sampler = Sampler(table, catalog, windows, clocks)
    # A virtual clock would leap while a thread works: who steps the engine on trio's clock has all of it in one thread.
    elsewhere = _in_thread_of_its_own() if settings.engine == "thread" else _here
    return History(settings.history, directory, sampler, elsewhere=elsewhere, wall_s=lambda: clocks.now()[1])


def _is_full(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL


def _is_damage(error: BaseException) -> bool:
    """Not what passes: a lock, a full disk, a file that may not be read."""
    if type(error) is sqlite3.OperationalError and not hasattr(error, "sqlite_errorcode"):
        return True  # SQLite had nothing to say against it: what it read as text is none
    if isinstance(error, sqlite3.DatabaseError):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return isinstance(error, DamageError)


def _in_thread_of_its_own() -> Elsewhere:
    """One at a time, in the order in which they come."""
    limiter = trio.CapacityLimiter(1)

    async def call_there(call: Callable[[], Any]) -> Any:
        return await trio.to_thread.run_sync(call, limiter=limiter)

    return call_there


async def _here(call: Callable[[], T]) -> T:
    await trio.lowlevel.checkpoint()
    return call()
