"""The file behind the history: SQLite, one connection at a time, whole at each commit.

Spans of a minute are kept for a day and spans of a quarter of an hour for as long as the settings say; a quarter is made of
its minutes once it is over, by merging alone, so it is the same whether it is made in time or after a crash. A commit may be
lost when the power goes (synchronous = NORMAL); the file stays whole.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.layout import HIST_BUCKETS
from meshkit_fastprobe.errors import FastprobeError
from meshkit_fastprobe.history import chunks
from meshkit_fastprobe.history.chunks import Chunk, DamageError
from meshkit_fastprobe.history.spans import COARSE_S, FINE_S, GroupSpan, Tags, begin_of, merge

SCHEMA_VERSION: Final = 1
FINE_KEPT_S: Final = 86_400
DROPPED_AT_ONCE: Final = 96
"""Quarters that are let go in one turn when the file is too large: a day."""
MAX_CHANGES: Final = 1_000_000
"""Changes of state that are kept, 60 MB or so."""
_STEPS_BETWEEN_LOOKS: Final = 20_000
"""Of SQLite's machine, between two looks at the clock: less than a millisecond."""
_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE span (length INTEGER, start INTEGER, covered_ms INTEGER NOT NULL, PRIMARY KEY (length, start)) STRICT;
CREATE TABLE tags (id INTEGER PRIMARY KEY, cluster TEXT, namespace TEXT, kind TEXT, UNIQUE (cluster, namespace, kind)) STRICT;
CREATE TABLE group_span (
    length INTEGER, start INTEGER, tags INTEGER, content BLOB NOT NULL, PRIMARY KEY (length, start, tags)
) STRICT, WITHOUT ROWID;
CREATE TABLE probe (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, tags INTEGER NOT NULL, seen INTEGER NOT NULL
) STRICT;
CREATE TABLE probe_span (
    length INTEGER, chunk INTEGER, start INTEGER, content BLOB NOT NULL, PRIMARY KEY (length, chunk, start)
) STRICT;
CREATE TABLE latency_span (chunk INTEGER, start INTEGER, content BLOB NOT NULL, PRIMARY KEY (chunk, start)) STRICT;
CREATE TABLE change (at_ms INTEGER, probe INTEGER, before INTEGER, after INTEGER, reason INTEGER) STRICT;
CREATE INDEX change_by_probe ON change (probe, at_ms);
CREATE INDEX change_by_time ON change (at_ms);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

_spans = msgspec.msgpack.Decoder(GroupSpan)
_encode_span = msgspec.msgpack.Encoder().encode


class HistoryError(FastprobeError):
    """The history cannot be kept or read; the message names the file and why. Probing goes on without it."""


class TooLongError(FastprobeError):
    """A question was not answered in its time."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """probe is its number; before, after and reason are those of model.py."""

    at_ms: int
    probe: int
    before: int
    after: int
    reason: int


class Minute(msgspec.Struct, frozen=True, eq=False):
    """What is written at once."""

    start: int
    covered_ms: int
    groups: dict[Tags, GroupSpan]
    probes: dict[int, Chunk]
    changes: Sequence[Change] = ()


class Store:
    """Used by one thread at a time. path None: in memory. HistoryError when the file cannot be used."""

    def __init__(self, path: Path | None, *, keep_s: float, max_bytes: int) -> None:
        self.path = path
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._is_over: Callable[[], bool] = _never
        try:
            self._connection = _open(path, max_bytes)
            self._tags = self._read_tags()
        except sqlite3.Error as error:
            raise HistoryError(f"{path}: {error}") from error

    def _read_tags(self) -> dict[Tags, int]:
        try:
            return {(cluster, namespace, kind): number for number, cluster, namespace, kind in self._rows("SELECT * FROM tags")}
        except BaseException:
            self._connection.close()  # or its lock would keep the next one from opening the file
            raise

    # -- writing -------------------------------------------------------------------------------------------------------------

    def number(self, named: Iterable[tuple[str, Tags]], now_s: float) -> list[int]:
        """The numbers of these probes: those that they had before, or the lowest free ones."""
        numbers = []
        with self._committing() as connection:
            free = self._free_numbers()
            for name, tags in named:
                of_tags = self._tags_number(tags)
                row = connection.execute("SELECT id FROM probe WHERE name = ?", (name,)).fetchone()
                if row is None:
                    number = next(free)
                    connection.execute("INSERT INTO probe VALUES (?, ?, ?, ?)", (number, name, of_tags, int(now_s)))
                else:
                    (number,) = row
                    connection.execute("UPDATE probe SET tags = ?, seen = ? WHERE id = ?", (of_tags, int(now_s), number))
                numbers.append(number)
        return numbers

    def append(self, minute: Minute) -> None:
        """Commit a minute, or a part of one: parts are merged."""
        with self._committing() as connection:
            self._put_span(FINE_S, minute.start, minute.covered_ms)
            for tags, span in minute.groups.items():
                self._put_group(FINE_S, minute.start, self._tags_number(tags), span)
            for number, chunk in minute.probes.items():
                self._put_chunk(FINE_S, number, minute.start, chunk)
            connection.executemany(
                "INSERT INTO change VALUES (?, ?, ?, ?, ?)", [msgspec.structs.astuple(change) for change in minute.changes]
            )

    @contextmanager
    def _committing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that may give numbers to tags; one that comes to nothing takes them back.

        Remembered without their row, they would be written with, and be given to other tags after a restart: one namespace's
        history would be told as another's.
        """
        known = dict(self._tags)
        try:
            with self._connection as connection:
                yield connection
        except BaseException:
            self._tags = known
            raise

    def put_latencies(self, number: int, start: int, latencies: Chunk) -> None:
        """Of the probes of a chunk, in a quarter."""
        with self._connection as connection:
            row = connection.execute(
                "SELECT content FROM latency_span WHERE chunk = ? AND start = ?", (number, start)
            ).fetchone()
            if row is not None:
                latencies = chunks.merge_latencies(chunks.decode(row[0]), latencies)
            content = chunks.encode(latencies)
            connection.execute("INSERT OR REPLACE INTO latency_span VALUES (?, ?, ?)", (number, start, content))

    def roll_up(self, now_s: float) -> int:
        """Make the quarters that are over of their minutes; how many. One that has got more minutes since is made again."""
        rows = self._rows(
            "SELECT start / ? * ? AS quarter, sum(covered_ms) AS covered FROM span WHERE length = ? AND start < ? "
            "GROUP BY quarter HAVING covered > "
            "coalesce((SELECT covered_ms FROM span AS made WHERE made.length = ? AND made.start = quarter), 0)",
            (COARSE_S, COARSE_S, FINE_S, begin_of(now_s, COARSE_S), COARSE_S),
        )
        for start, covered_ms in rows:
            self._roll_up(start, covered_ms)
        return len(rows)

    def _roll_up(self, start: int, covered_ms: int) -> None:
        end = start + COARSE_S
        groups: dict[int, list[GroupSpan]] = {}
        for tags, content in self._rows(
            "SELECT tags, content FROM group_span WHERE length = ? AND start >= ? AND start < ? ORDER BY start",
            (FINE_S, start, end),
        ):
            groups.setdefault(tags, []).append(_decode_span(content))
        numbers = self._rows("SELECT DISTINCT chunk FROM probe_span WHERE length = ?", (FINE_S,))
        with self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO span VALUES (?, ?, ?)", (COARSE_S, start, covered_ms))
            connection.executemany(
                "INSERT OR REPLACE INTO group_span VALUES (?, ?, ?, ?)",
                [(COARSE_S, start, tags, _encode_span(merge(spans))) for tags, spans in groups.items()],
            )
            for (number,) in numbers:
                minutes = [chunk for _, chunk in self.chunk_spans(FINE_S, number, start, end)]
                if minutes:
                    content = chunks.encode(chunks.merge(minutes))
                    connection.execute(
                        "INSERT OR REPLACE INTO probe_span VALUES (?, ?, ?, ?)", (COARSE_S, number, start, content)
                    )

    def forget(self, now_s: float) -> None:
        """Let go what is older than is kept, and the oldest days while the file is larger than it may be."""
        self._forget(FINE_S, begin_of(now_s - FINE_KEPT_S, COARSE_S))
        self._forget(COARSE_S, begin_of(now_s - self._keep_s, COARSE_S))
        if self.used_bytes > self._max_bytes * 9 // 10:
            row = self._connection.execute(
                "SELECT start FROM span WHERE length = ? ORDER BY start LIMIT 1 OFFSET ?", (COARSE_S, DROPPED_AT_ONCE)
            ).fetchone()
            if row is not None:
                self._forget(COARSE_S, row[0])
        self._trim_changes()

    def make_room(self) -> bool:
        """Let go a day's worth, since the file takes no more; False when there is nothing left to let go."""
        row = self._connection.execute(
            "SELECT max(start) FROM (SELECT start FROM span ORDER BY start LIMIT ?)", (DROPPED_AT_ONCE,)
        ).fetchone()
        if row[0] is None:
            return False
        for length in (FINE_S, COARSE_S):
            self._forget(length, row[0] + 1)
        return True

    def _forget(self, length: int, before: int) -> None:
        if not self._rows("SELECT 1 FROM span WHERE length = ? AND start < ? LIMIT 1", (length, before)):
            return
        with self._connection as connection:
            for (number,) in self._rows("SELECT DISTINCT chunk FROM probe_span WHERE length = ?", (length,)):
                of_chunk = (length, number, before)
                connection.execute("DELETE FROM probe_span WHERE length = ? AND chunk = ? AND start < ?", of_chunk)
                if length == COARSE_S:
                    connection.execute("DELETE FROM latency_span WHERE chunk = ? AND start < ?", (number, before))
            connection.execute("DELETE FROM group_span WHERE length = ? AND start < ?", (length, before))
            connection.execute("DELETE FROM span WHERE length = ? AND start < ?", (length, before))
            if length == COARSE_S:
                connection.execute("DELETE FROM change WHERE at_ms < ?", (before * 1000,))
                # A living probe was seen a quarter and a minute ago at most, and a number is given to another one only once
                # nothing is kept any more of whose it was.
                connection.execute("DELETE FROM probe WHERE seen < ?", (before - 2 * COARSE_S,))
        self._connection.execute("PRAGMA incremental_vacuum").fetchall()

    def seen(self, numbers: Sequence[int], now_s: float) -> None:
        """These probes are there still: their numbers are theirs."""
        with self._connection as connection:
            connection.executemany("UPDATE probe SET seen = ? WHERE id = ?", [(int(now_s), number) for number in numbers])

    def _trim_changes(self) -> None:
        first, last = self._connection.execute("SELECT min(rowid), max(rowid) FROM change").fetchone()
        if last is not None and last - first >= MAX_CHANGES:
            with self._connection as connection:
                connection.execute("DELETE FROM change WHERE rowid <= ?", (last - MAX_CHANGES,))

    def close(self) -> None:
        self._connection.close()

    # -- reading -------------------------------------------------------------------------------------------------------------

    @contextmanager
    def asked_until(self, is_over: Callable[[], bool]) -> Iterator[None]:
        """What is read meanwhile ends with TooLongError once is_over: within SQLite, and between two rows of it."""
        self._is_over = is_over
        self._connection.set_progress_handler(is_over, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_INTERRUPT:
                raise
            raise TooLongError("interrupted") from error
        finally:
            self._connection.set_progress_handler(None, 0)
            self._is_over = _never

    @property
    def used_bytes(self) -> int:
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    @property
    def tags(self) -> dict[Tags, int]:
        """Numbers of the groups there are, or were."""
        return self._tags

    def spans(self, length: int, start: int, end: int) -> list[tuple[int, int]]:
        """(start, covered_ms) of those in this stretch, oldest first."""
        query = "SELECT start, covered_ms FROM span WHERE length = ? AND start >= ? AND start < ? ORDER BY start"
        return self._rows(query, (length, start, end))

    def oldest(self) -> int | None:
        """Where the history begins."""
        (start,) = self._connection.execute("SELECT min(start) FROM span").fetchone()
        return None if start is None else int(start)

    def group_spans(self, length: int, start: int, end: int) -> Iterator[tuple[int, int, GroupSpan]]:
        """(start, number of the tags, span), oldest first."""
        query = "SELECT start, tags, content FROM group_span WHERE length = ? AND start >= ? AND start < ? ORDER BY start"
        for at, tags, content in self._each(query, (length, start, end)):
            yield at, tags, _decode_span(content)

    def chunk_spans(self, length: int, number: int, start: int, end: int) -> Iterator[tuple[int, Chunk]]:
        query = (
            "SELECT start, content FROM probe_span WHERE length = ? AND chunk = ? AND start >= ? AND start < ? ORDER BY start"
        )
        for at, content in self._each(query, (length, number, start, end)):
            yield at, chunks.decode(content)

    def accumulate(self, length: int, number: int, start: int, end: int, sums: NDArray[np.uint64]) -> None:
        """Add up all spans of a chunk."""
        query = "SELECT content FROM probe_span WHERE length = ? AND chunk = ? AND start >= ? AND start < ?"
        for (content,) in self._each(query, (length, number, start, end)):
            chunks.accumulate(content, sums)

    def latency_spans(self, number: int, start: int, end: int) -> Iterator[tuple[int, Chunk]]:
        query = "SELECT start, content FROM latency_span WHERE chunk = ? AND start >= ? AND start < ? ORDER BY start"
        for at, content in self._each(query, (number, start, end)):
            yield at, chunks.decode(content)

    def chunk_numbers(self) -> list[int]:
        return [number for (number,) in self._rows("SELECT DISTINCT chunk FROM probe_span")]

    def number_of(self, name: str) -> int | None:
        """None for a probe that history does not know."""
        row = self._connection.execute("SELECT id FROM probe WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def named(self, number: int) -> tuple[str, Tags] | None:
        row = self._connection.execute(
            "SELECT name, cluster, namespace, kind FROM probe JOIN tags ON tags.id = probe.tags WHERE probe.id = ?", (number,)
        ).fetchone()
        return None if row is None else (row[0], row[1:])

    def probes(self) -> Iterator[tuple[str, Tags]]:
        """All that history knows, those that are gone among them."""
        query = "SELECT name, cluster, namespace, kind FROM probe JOIN tags ON tags.id = probe.tags"
        for name, *tags in self._each(query, ()):
            yield name, tuple(tags)

    def changes(self, number: int, start_ms: int, end_ms: int, limit: int) -> list[Change]:
        """Of one probe, the newest ones of that stretch, oldest first."""
        rows = self._rows(
            "SELECT * FROM change WHERE probe = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms DESC LIMIT ?",
            (number, start_ms, end_ms, limit),
        )
        return [Change(*row) for row in reversed(rows)]

    def _each(self, query: str, values: Sequence[int]) -> Iterator[Any]:
        """Rows that cost more to make sense of than to find."""
        for row in self._connection.execute(query, values):
            if self._is_over():
                raise TooLongError("interrupted")
            yield row

    def _rows(self, query: str, values: Sequence[int] = ()) -> list[Any]:
        return self._connection.execute(query, values).fetchall()

    # -- parts ---------------------------------------------------------------------------------------------------------------

    def _put_span(self, length: int, start: int, covered_ms: int) -> None:
        self._connection.execute(
            "INSERT INTO span VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET covered_ms = covered_ms + excluded.covered_ms",
            (length, start, covered_ms),
        )

    def _put_group(self, length: int, start: int, tags: int, span: GroupSpan) -> None:
        key = (length, start, tags)
        row = self._connection.execute(
            "SELECT content FROM group_span WHERE length = ? AND start = ? AND tags = ?", key
        ).fetchone()
        if row is not None:
            span = merge([_decode_span(row[0]), span])
        self._connection.execute("INSERT OR REPLACE INTO group_span VALUES (?, ?, ?, ?)", (*key, _encode_span(span)))

    def _put_chunk(self, length: int, number: int, start: int, chunk: Chunk) -> None:
        for _, there in self.chunk_spans(length, number, start, start + 1):
            chunk = chunks.merge([there, chunk])
        row = (length, number, start, chunks.encode(chunk))
        self._connection.execute("INSERT OR REPLACE INTO probe_span VALUES (?, ?, ?, ?)", row)

    def _tags_number(self, tags: Tags) -> int:
        found = self._tags.get(tags)
        if found is None:
            cursor = self._connection.execute("INSERT INTO tags (cluster, namespace, kind) VALUES (?, ?, ?)", tags)
            assert cursor.lastrowid is not None
            found = self._tags[tags] = cursor.lastrowid
        return found

    def _free_numbers(self) -> Iterator[int]:
        """Ascending; those of probes that were forgotten are given again, so that chunks stay full."""
        taken = [number for (number,) in self._rows("SELECT id FROM probe ORDER BY id")]
        candidate = 0
        for number in taken:
            while candidate < number:
                yield candidate
                candidate += 1
            candidate = number + 1
        while True:
            yield candidate
            candidate += 1


def _never() -> bool:
    return False


def _decode_span(content: bytes) -> GroupSpan:
    try:
        span = _spans.decode(content)
    except msgspec.MsgspecError as error:
        raise DamageError(f"a span of a group cannot be read: {error}") from error
    if len(span.buckets) != len(span.counts) or max(span.buckets, default=0) >= HIST_BUCKETS or min(span.counts, default=0) < 0:
        raise DamageError("a span of a group counts in buckets that there are not")
    return span


def _open(path: Path | None, max_bytes: int) -> sqlite3.Connection:
    if path is not None and not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    # Asked for from several threads, one at a time: that is the caller's care. Held for as long as it is open, so that two
    # hosts with one state_dir cannot mix what they saw.
    connection = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False, timeout=1.0)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(max_bytes // size, 64)}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:  # new, or left so by who was killed while it was
            connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    if version not in {0, SCHEMA_VERSION}:
        connection.close()
        raise HistoryError(f"{path}: made by another version of this program (schema {version}, this is {SCHEMA_VERSION})")
    return connection
