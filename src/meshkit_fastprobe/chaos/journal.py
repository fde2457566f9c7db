"""What was meant, before it was done: runs and their moves, durable, so that a restart knows what to undo.

One SQLite file in the state directory; in memory for a host that has none. Who waits while a commit is under way shares the
next: a thousand moves cost a few. Whatever stops a fault goes on without the disk: its moves are kept and written later, and a
journal that is behind only makes the next start undo once more what is undone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
import trio

from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.states import FINAL
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.errors import FastprobeError

SCHEMA_VERSION: Final = 1
KEPT_RUNS: Final = 10_000
"""Runs of the past; older ones are forgotten, the audit is not."""
_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE run (id TEXT PRIMARY KEY, number INTEGER NOT NULL, final INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX run_by_number ON run (number);
CREATE TABLE fact (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_UPSERT: Final = (
    "INSERT INTO run VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET final = excluded.final, body = excluded.body"
)


T = TypeVar("T")


class Elsewhere(Protocol):
    """Runs what blocks."""

    async def __call__(self, call: Callable[[], T]) -> T: ...


class JournalError(FastprobeError):
    """The journal cannot be written or read; the message names the file and why. Nothing is injected without it."""


class Journal:
    """One process at a time. directory None: in memory. elsewhere: where it is written; tests on virtual clocks stay here."""

    def __init__(self, directory: Path | None, elsewhere: Elsewhere = in_thread) -> None:
        self._elsewhere = elsewhere
        self._path = None if directory is None else directory / "chaos.db"
        self._connection: sqlite3.Connection | None = None
        self._turn = trio.Lock()
        self._unwritten: dict[str, Run] = {}
        self._facts: dict[str, bytes | None] = {}
        self.number = 0
        """Of the newest run."""

    @property
    def behind(self) -> int:
        """Runs whose last moves are not on the disk yet."""
        return len(self._unwritten)

    async def open(self) -> list[Run]:
        """The runs that had not ended, oldest first. JournalError when the file cannot be used."""
        return await self._elsewhere(self._open)

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            with suppress(JournalError):  # what is behind is undone once more at the next start
                await self._write()
            connection, self._connection = self._connection, None
            if connection is not None:
                await self._elsewhere(connection.close)

    def next_id(self, experiment: str) -> str:
        self.number += 1
        return f"{experiment}-{self.number}"

    async def record(self, run: Run) -> None:
        """The run as it is now, durable on return. JournalError, and then the disk may hold an older state of it."""
        self._unwritten[run.id] = run
        with trio.CancelScope(shield=True):
            await self._write()

    def note(self, run: Run) -> None:
        """The same for what must not wait: written with the next that waits, or by `catch_up`."""
        self._unwritten[run.id] = run

    async def keep(self, name: str, fact: object | None) -> None:
        """A fact that outlives the process; None forgets it. JournalError, and then it is still tried, as `mean` does."""
        self.mean(name, fact)
        with trio.CancelScope(shield=True):
            await self._write()

    def mean(self, name: str, fact: object | None) -> None:
        """The same for what must not wait, or is to be instead of what the disk refused."""
        self._facts[name] = None if fact is None else msgspec.json.encode(fact)

    async def catch_up(self) -> None:
        """Write what is behind. JournalError when the disk still refuses."""
        if self._unwritten or self._facts:
            await self._write()

    async def fact(self, name: str) -> Any:
        rows = await self._ask("SELECT body FROM fact WHERE name = ?", (name,))
        body = self._facts.get(name, rows[0][0] if rows else None)
        return None if body is None else msgspec.json.decode(body)

    async def past(self, limit: int, before: int | None = None, experiment: str | None = None) -> list[Run]:
        """Runs, newest first."""
        rows = await self._ask(
            "SELECT body FROM run WHERE number < ? AND (? IS NULL OR json_extract(CAST(body AS TEXT), '$.experiment') = ?)"
            " ORDER BY number DESC LIMIT ?",
            (self.number + 1 if before is None else before, experiment, experiment, limit),
        )
        return [self._unwritten.get(run.id, run) for run in (msgspec.json.decode(body, type=Run) for (body,) in rows)]

    async def run(self, run_id: str) -> Run | None:
        if run_id in self._unwritten:
            return self._unwritten[run_id]
        rows = await self._ask("SELECT body FROM run WHERE id = ?", (run_id,))
        return msgspec.json.decode(rows[0][0], type=Run) if rows else None

    # -- one thread at a time ------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """All that waits, in one commit; who comes while it is under way finds it done by the next."""
        async with self._turn:
            runs, facts = list(self._unwritten.values()), dict(self._facts)
            if not runs and not facts:
                return
            await self._elsewhere(partial(self._commit, runs, facts))
            for run in runs:
                if self._unwritten.get(run.id) is run:
                    del self._unwritten[run.id]
            for name, body in facts.items():
                if self._facts.get(name) is body:
                    del self._facts[name]

    async def _ask(self, query: str, values: tuple[object, ...]) -> list[Any]:
        async with self._turn:
            return await self._elsewhere(partial(self._select, query, values))

    def _open(self) -> list[Run]:
        try:
            if self._path is None:
                self._connection = sqlite3.connect(":memory:", check_same_thread=False)
            else:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
                self._connection = sqlite3.connect(self._path, check_same_thread=False)
            return self._prepare(self._connection)
        except (OSError, sqlite3.Error, msgspec.MsgspecError) as error:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            raise JournalError(
                f"{self._path}: {error}; nothing can be injected: look with `nft list tables` for tables named meshkit_*, "
                "then move the file away"
            ) from error

    def _prepare(self, connection: sqlite3.Connection) -> list[Run]:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(_SCHEMA)
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"made by another version of this program (schema {version})")
        (self.number,) = connection.execute("SELECT coalesce(max(number), 0) FROM run").fetchone()
        rows = connection.execute("SELECT body FROM run WHERE final = 0 ORDER BY number").fetchall()
        return [msgspec.json.decode(body, type=Run) for (body,) in rows]

    def _commit(self, runs: list[Run], facts: dict[str, bytes | None]) -> None:
        if self._connection is None:
            raise JournalError(f"{self._path}: not open")
        try:
            with self._connection:
                self._connection.executemany(
                    _UPSERT,
                    [(run.id, int(run.id.rpartition("-")[2]), run.phase in FINAL, msgspec.json.encode(run)) for run in runs],
                )
                for name, body in facts.items():
                    if body is None:
                        self._connection.execute("DELETE FROM fact WHERE name = ?", (name,))
                    else:
                        self._connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, body))
                self._connection.execute("DELETE FROM run WHERE final = 1 AND number <= ?", (self.number - KEPT_RUNS,))
        except sqlite3.Error as error:
            raise JournalError(f"{self._path or 'the journal in memory'}: {error}") from error

    def _select(self, query: str, values: tuple[object, ...]) -> list[Any]:
        if self._connection is None:
            raise JournalError(f"{self._path}: not open")
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise JournalError(f"{self._path or 'the journal in memory'}: {error}") from error
