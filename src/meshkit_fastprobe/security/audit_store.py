"""The file behind the audit: SQLite, one writer, durable at each commit.

Tables: `record` (seq, content, mac) as audit_chain.py defines them, and `checkpoint`, heads signed with Ed25519. Keys lie
beside the database, 0600: audit.key for the chain and audit-signing.key for checkpoints. Who wants to be told of a history
rewritten by root keeps checkpoints, or the exported head, on another host.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.security.audit_chain import Head, Report, Verdict, check_chain, decode

SCHEMA_VERSION: Final = 1
KEY_BYTES: Final = 32
CHECKPOINT_EVERY: Final = 1024
"""Records between signed checkpoints; one is also written at a clean end."""
SCANNED: Final = 50_000
"""Records one question looks at: the writer has to get on."""
_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE record (seq INTEGER PRIMARY KEY, content BLOB NOT NULL, mac BLOB NOT NULL) STRICT;
CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, mac BLOB NOT NULL, signature BLOB NOT NULL, begins INTEGER NOT NULL) STRICT;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class AuditStore:
    """One process at a time may write; used from one thread. AuditError when the file cannot be used safely.

    directory None keeps everything in memory, for a host that has no state_dir: as provable, as long as it lives.
    """

    def __init__(self, directory: Path | None) -> None:
        self._name = "the audit in memory" if directory is None else str(directory / "audit.db")
        self._lock = None if directory is None else _take_lock(directory / "audit.lock")
        try:
            self._key, signing_key = _keys(directory)
            self._signing_key = Ed25519PrivateKey.from_private_bytes(signing_key)
            self._connection, self.head = self._connect(directory)
        except BaseException:
            self._unlock()
            raise

    def _connect(self, directory: Path | None) -> tuple[sqlite3.Connection, Head]:
        try:
            connection = _open_memory() if directory is None else _open(directory / "audit.db", writable=True)
            try:
                return connection, _head(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise AuditError(f"{self._name}: {error}; keep what `fastprobe audit verify` says, and move it away") from error

    @property
    def key(self) -> bytes:
        return self._key

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        return self._signing_key

    def append(self, rows: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Commit these, durably, or none of them. AuditError when the file takes no more."""
        head = Head(rows[-1][0], rows[-1][2])
        try:
            with self._connection:
                self._connection.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
                if head.seq // CHECKPOINT_EVERY != self.head.seq // CHECKPOINT_EVERY:
                    self._sign(head, begins=False)
        except sqlite3.Error as error:
            raise AuditError(f"{self._name}: {error}") from error
        self.head = head

    def checkpoint(self) -> None:
        """Vouch for the present head."""
        if self.head.seq:
            with self._connection:
                self._sign(self.head, begins=False)

    def forget_until(self, seq: int) -> int:
        """Drop records up to this one; what follows stays provable, since the chain then begins at a signed checkpoint."""
        row = self._connection.execute("SELECT seq, mac FROM record WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            return 0
        with self._connection:
            self._sign(Head(*row), begins=True)
            dropped = self._connection.execute("DELETE FROM record WHERE seq <= ?", (seq,)).rowcount
            self._connection.execute("DELETE FROM checkpoint WHERE seq < ?", (seq,))
        return dropped

    def newest(self, before: int | None, limit: int, wanted: Mapping[str, str]) -> tuple[list[bytes], int | None]:
        """Contents of up to `limit` records, newest first, that say these things; and where to go on, None at the end.

        before: only records before this number. wanted: fields of the entry with the values they have to have. At most SCANNED
        records are looked at: a page may be short, or empty, and still have another after it.
        """
        end = self.head.seq + 1 if before is None else min(before, self.head.seq + 1)
        low = max(end - SCANNED, 0)
        conditions = "".join(f" AND json_extract(CAST(content AS TEXT), '$[5].{field}') = ?" for field in wanted)
        rows = self._connection.execute(
            f"SELECT seq, content FROM record WHERE seq < ? AND seq >= ?{conditions} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - fields are ours
            (end, low, *wanted.values(), limit),
        ).fetchall()
        found = [content for _, content in rows]
        (first,) = self._connection.execute("SELECT min(seq) FROM record").fetchone()
        reached = rows[-1][0] if len(rows) == limit else low
        return found, reached if first is not None and reached > first else None

    def after(self, seq: int, limit: int) -> list[tuple[int, bytes, bytes]]:
        """(seq, content, mac) of up to `limit` records that follow this one, oldest first."""
        return self._connection.execute(
            "SELECT seq, content, mac FROM record WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
        ).fetchall()

    def holds(self, head: Head) -> bool:
        """Whether the chain goes through this head, or begins at it."""
        if head.seq == 0:
            return head == Head()
        asked = "SELECT mac FROM record WHERE seq = :seq UNION SELECT mac FROM checkpoint WHERE seq = :seq AND begins"
        return (head.mac,) in self._connection.execute(asked, {"seq": head.seq}).fetchall()

    def close(self) -> None:
        try:
            self.checkpoint()
        finally:
            self._connection.close()
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _sign(self, head: Head, *, begins: bool) -> None:
        """One that says where the chain begins stays: without it the records before it would be missed."""
        signature = self._signing_key.sign(_vouched(head, begins=begins))
        insert = "INSERT OR REPLACE" if begins else "INSERT OR IGNORE"
        self._connection.execute(f"{insert} INTO checkpoint VALUES (?, ?, ?, ?)", (head.seq, head.mac, signature, int(begins)))


def verify(directory: Path, known: Iterable[Head] = ()) -> Report:
    """Check the whole chain against its checkpoints and these heads; reads only, also while another process writes.

    A head before the beginning of the chain has nothing to be compared with: the report's why names it, whatever the verdict.
    """
    try:
        key = (directory / "audit.key").read_bytes()
        private = Ed25519PrivateKey.from_private_bytes((directory / "audit-signing.key").read_bytes())
    except (OSError, ValueError) as error:
        raise AuditError(f"{directory}: {error}") from error
    try:
        with closing(_open(directory / "audit.db", writable=False)) as connection:
            return _verify(connection, key, private.public_key(), list(known))
    except sqlite3.DatabaseError as error:
        return Report(Verdict.TORN, 0, Head(), None, f"the database cannot be read: {error}")


def export(directory: Path) -> Iterator[str]:
    """Each record as a JSON object of one line, oldest first, with its mac: what `verify` checks, for other programs."""
    try:
        with closing(_open(directory / "audit.db", writable=False)) as connection:
            for _, content, mac in _rows(connection):
                yield line_of(content, mac)
    except sqlite3.DatabaseError as error:
        raise AuditError(f"{directory}: the records end here, in a database that cannot be read: {error}") from error


def line_of(content: bytes, mac: bytes) -> str:
    """A record as JSON for other programs: one line, with what `verify` checks."""
    record = decode(content)
    told = {**msgspec.structs.asdict(record), "entry": msgspec.structs.asdict(record.entry), "mac": mac.hex()}
    return msgspec.json.encode(told).decode()


def _verify(connection: sqlite3.Connection, key: bytes, public: Ed25519PublicKey, given: list[Head]) -> Report:
    connection.execute("BEGIN")  # one state of the file, whatever is written meanwhile
    start, own = Head(), []
    for seq, mac, signature, begins in connection.execute("SELECT * FROM checkpoint ORDER BY seq"):
        head = Head(seq, mac)
        try:
            public.verify(signature, _vouched(head, begins=bool(begins)))
        except (InvalidSignature, OverflowError):  # the latter: a number that none of ours can have
            return Report(Verdict.ALTERED, 0, start, seq, "the signature of its checkpoint is wrong")
        if begins:
            start = head
        own.append(head)
    rows = _Readable(_rows(connection))
    report = check_chain(key, start, rows, [*given, *own])
    if rows.broken is not None and report.verdict in {Verdict.INTACT, Verdict.TRUNCATED}:
        why = f"the database cannot be read from here on: {rows.broken}"
        report = Report(Verdict.TORN, report.records, report.head, report.head.seq + 1, why)
    return _naming_uncompared(report, start, given)


def _naming_uncompared(report: Report, start: Head, given: list[Head]) -> Report:
    before = ", ".join(str(head.seq) for head in given if head.seq < start.seq)
    if not before:
        return report
    uncompared = f"not compared with what was vouched for at {before}: this chain begins after record {start.seq}"
    return msgspec.structs.replace(report, why=f"{report.why}; {uncompared}" if report.why else uncompared)


class _Readable:
    """Rows as far as they can be read; broken: why no further."""

    def __init__(self, rows: Iterator[tuple[int, bytes, bytes]]) -> None:
        self._rows = rows
        self.broken: sqlite3.DatabaseError | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        try:
            yield from self._rows
        except sqlite3.DatabaseError as error:
            self.broken = error


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[int, bytes, bytes]]:
    return iter(connection.execute("SELECT seq, content, mac FROM record ORDER BY seq"))


def public_key(directory: Path) -> bytes:
    """The 32 bytes that others check checkpoints with."""
    private = Ed25519PrivateKey.from_private_bytes((directory / "audit-signing.key").read_bytes())
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _vouched(head: Head, *, begins: bool) -> bytes:
    """Whether the chain begins there is part of it: else whoever drops records could make any checkpoint the beginning."""
    what = b"beginning" if begins else b"head"
    return b"meshkit-fastprobe audit " + what + b"\0" + head.seq.to_bytes(8) + head.mac


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def _take_lock(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise AuditError(f"{path}: another process writes this audit; give each its own state_dir") from error
    return file


def _keys(directory: Path | None) -> tuple[bytes, bytes]:
    if directory is None:
        return secrets.token_bytes(KEY_BYTES), _new_signing_key()
    chain = _secret(directory / "audit.key", lambda: secrets.token_bytes(KEY_BYTES))
    return chain, _secret(directory / "audit-signing.key", _new_signing_key)


def _head(connection: sqlite3.Connection) -> Head:
    """The last record, or the checkpoint behind it where all were dropped."""
    row = connection.execute("SELECT seq, mac FROM record ORDER BY seq DESC LIMIT 1").fetchone()
    anchor = connection.execute("SELECT seq, mac FROM checkpoint ORDER BY seq DESC LIMIT 1").fetchone()
    return max((Head(*found) for found in (row, anchor) if found), key=lambda head: head.seq, default=Head())


def _open_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(_SCHEMA)
    return connection


def _secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """The key in this file, made at the first start: whole or not at all, for its owner alone."""
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = make()
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(file, secret)
            os.fsync(file)
        finally:
            os.close(file)
        temporary.rename(path)
    if len(secret) != KEY_BYTES:
        raise AuditError(f"{path}: {len(secret)} bytes where {KEY_BYTES} are needed; put the right file back")
    return secret


def _open(path: Path, *, writable: bool) -> sqlite3.Connection:
    if not path.exists():
        if not writable:
            raise AuditError(f"{path}: there is no such file")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={'rw' if writable else 'ro'}", uri=True)
        try:
            _prepare(connection, path, writable=writable)
        except BaseException:
            connection.close()
            raise
    except sqlite3.OperationalError as error:  # a damaged file is another error, and for who opens it to tell
        raise AuditError(f"{path}: {error}") from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, writable: bool) -> None:
    if writable:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0 and writable:  # new, or left so by who was killed while it was
        connection.executescript(_SCHEMA)
        version = SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        raise AuditError(f"{path}: made by another version of this program (schema {version}, this is {SCHEMA_VERSION})")
