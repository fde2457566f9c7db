"""Keeping the audit: whoever acts waits until the record of it is on the disk.

One thread writes; what comes while it commits goes into the next batch together, so a thousand who wait cost a few commits.
If a record cannot be written the one who waits for it is told, and does not act. What must not wait, because it stops something
or because nothing is done (a denial), is noted: `note` never fails, and keeps what the disk refused for later, flagged as late.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meshkit_fastprobe.access import AuditSettings
from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.security.audit_chain import Entry, Head, Record, canonical, decode, link
from meshkit_fastprobe.security.audit_copies import Copies
from meshkit_fastprobe.security.audit_retention import EVERY_S, Retention
from meshkit_fastprobe.security.audit_store import AuditStore
from meshkit_fastprobe.telemetry.usage import AuditUse

MAX_WAITING: Final = 8192
"""Records on their way to the disk; more are refused, which refuses their actions."""
MAX_BATCH: Final = 512
MAX_LATE: Final = 4096
RETRY_S: Final = 1.0

log = logging.getLogger("meshkit_fastprobe.audit")


_Answer = tuple[list[bytes], int | None] | Exception


class _Written:
    """One who waits for a record, on trio's side; None for nobody."""

    __slots__ = ("done", "entry", "error", "late", "record", "stored")

    def __init__(self, entry: Entry, done: trio.Event | None) -> None:
        self.entry = entry
        self.done = done
        self.late = False
        """Whether the disk has refused it before."""
        self.stored = False
        self.record: Record | None = None
        self.error: AuditError | None = None


class _Question:
    """One who reads: answered between two batches, by the one thread that has the file."""

    __slots__ = ("answer", "before", "done", "limit", "wanted")

    def __init__(self, before: int | None, limit: int, wanted: Mapping[str, str]) -> None:
        self.before = before
        self.limit = limit
        self.wanted = wanted
        self.done = trio.Event()
        self.answer: _Answer = ([], None)


class Audit:
    """The audit of one host. `async with` opens it; AuditError when it cannot be kept at all. directory None: in memory."""

    def __init__(
        self,
        directory: Path | None,
        *,
        boot_id: str,
        on_head: Callable[[Head], None] = lambda _: None,
        host: str = "",
        settings: AuditSettings | None = None,
    ) -> None:
        settings = settings or AuditSettings()
        self._copies = Copies(host or "-", settings.copy_to)
        self._copy_needed = settings.copy_needed
        self._retention = Retention(settings)
        self._directory = directory
        self._boot_id = boot_id
        self._on_head = on_head
        self._waiting: queue.SimpleQueue[_Written | _Question | None] = queue.SimpleQueue()
        self._late: deque[_Written] = deque(maxlen=MAX_LATE)
        self._thread: threading.Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._store: AuditStore | None = None
        self.records = 0
        """Written since this was opened."""
        self.late_lost = 0
        """Notes that neither disk nor memory could take."""
        self.failures = 0
        """Batches that the disk refused."""

    async def __aenter__(self) -> Audit:
        self._token = trio.lowlevel.current_trio_token()
        opened: queue.SimpleQueue[AuditError | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, args=(opened,), name="fastprobe-audit", daemon=True)
        self._thread.start()
        error = await trio.to_thread.run_sync(opened.get)
        if error is not None:
            raise error
        return self

    async def __aexit__(self, *_: object) -> None:
        self._waiting.put(None)
        with trio.CancelScope(shield=True):
            assert self._thread is not None
            await trio.to_thread.run_sync(self._thread.join)

    @property
    def head(self) -> Head:
        return self._store.head if self._store is not None else Head()

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """That of checkpoints, for what else this host vouches for."""
        assert self._store is not None, "it is open"
        return self._store.signing_key

    @property
    def late(self) -> int:
        """Notes that wait for a disk that takes them."""
        return len(self._late)

    @property
    def use(self) -> AuditUse:
        return AuditUse(self.records, self.late, self.late_lost, self.failures, self._copies.failures, self.head.seq)

    async def append(self, entry: Entry) -> Record:
        """The record, once it is durable. AuditError when it is not: then the deed must not be done."""
        if self._waiting.qsize() >= MAX_WAITING:
            raise AuditError(f"{MAX_WAITING} records wait for the disk already")
        done = trio.Event()
        waiter = _Written(entry, done)
        self._waiting.put(waiter)
        with trio.CancelScope(shield=True):  # a record may not outlive the answer to whether it was written
            await done.wait()
        if waiter.error is not None:
            raise waiter.error
        assert waiter.record is not None
        return waiter.record

    def note(self, entry: Entry) -> None:
        """Record what was stopped or refused. Never waits, never fails; written as soon as the disk takes it."""
        self._waiting.put(_Written(entry, None))

    async def newest(self, before: int | None, limit: int, wanted: Mapping[str, str]) -> tuple[list[Record], int | None]:
        """Records as AuditStore.newest finds them, all that was acknowledged before included."""
        question = _Question(before, limit, wanted)
        self._waiting.put(question)
        await question.done.wait()
        if isinstance(question.answer, Exception):
            raise AuditError(f"the audit cannot be read: {question.answer}") from question.answer
        contents, reached = question.answer
        try:
            return [decode(content) for content in contents], reached
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise AuditError(f"the audit holds what nobody here wrote: {error}") from error

    # -- the writer's thread ---------------------------------------------------------------------------------------------------

    def _write(self, opened: queue.SimpleQueue[AuditError | None]) -> None:
        try:
            store = self._store = AuditStore(self._directory)
            self._copies.follow(store)
        except Exception as error:  # noqa: BLE001 - whatever it was, who opens this must not wait for ever
            self._close()  # before the answer: who hears it may try again at once
            opened.put(_refusal(error, f"{self._directory}: "))
            return
        opened.put(None)
        try:
            while self._write_batch(store):
                pass
        finally:
            self._close()

    def _close(self) -> None:
        with suppress(Exception):
            if self._store is not None:
                self._store.close()

    def _write_batch(self, store: AuditStore) -> bool:
        batch, questions, more = self._gather()
        try:
            self._serve(store, batch, questions)
        except Exception as error:
            log.exception("the audit failed as nobody foresaw; who waits for it is refused")
            self._refuse(batch, questions, error)
        return more

    def _serve(self, store: AuditStore, batch: list[_Written], questions: list[_Question]) -> None:
        notes = [waiter for waiter in batch if waiter.done is None]
        self._commit(store, [waiter for waiter in batch if waiter.done is not None])
        if self._late or not self._commit(store, notes):
            self._keep_for_later(notes)
        if self._late and self._commit(store, list(self._late)):
            self._late.clear()
        for question in questions:
            self._answer(store, question)
        if self._copies.retry_due():
            self._copies.follow(store)
        self._retention.trim(store, self._copies.reached)

    def _refuse(self, batch: list[_Written], questions: list[_Question], error: Exception) -> None:
        """So that nobody waits for ever. Who has been answered keeps the answer."""
        self.failures += 1
        self._keep_for_later([waiter for waiter in batch if waiter.done is None and not (waiter.stored or waiter.late)])
        self._tell(self._told, [waiter for waiter in batch if waiter.done is not None], _refusal(error), None)
        for question in questions:
            self._tell(self._answered, question, error)

    def _patience_s(self) -> float | None:
        """How long nothing has to be done if nothing comes."""
        if self._late or self._copies.behind:
            return RETRY_S
        return EVERY_S if self._retention.is_on else None

    def _keep_for_later(self, notes: list[_Written]) -> None:
        for note in notes:
            note.late = True
            self.late_lost += len(self._late) == MAX_LATE
            self._late.append(note)

    def _gather(self) -> tuple[list[_Written], list[_Question], bool]:
        batch: list[_Written] = []
        questions: list[_Question] = []
        try:
            first = self._waiting.get(timeout=self._patience_s())
            while first is not None:
                if isinstance(first, _Question):
                    questions.append(first)
                else:
                    batch.append(first)
                if len(batch) == MAX_BATCH:
                    return batch, questions, True
                first = self._waiting.get_nowait()
        except queue.Empty:
            return batch, questions, True
        return batch, questions, False

    def _answer(self, store: AuditStore, question: _Question) -> None:
        answer: _Answer
        try:
            answer = store.newest(question.before, question.limit, question.wanted)
        except Exception as error:  # noqa: BLE001 - who asks hears it; this thread has others to write for
            answer = error
        self._tell(self._answered, question, answer)

    def _commit(self, store: AuditStore, batch: list[_Written]) -> bool:
        if not batch:
            return True
        error, stored = None, False
        try:
            store.append(self._rows(store, batch))
            stored = True
        except Exception as failure:  # noqa: BLE001 - whatever it was, those who wait must not wait for ever
            error = _refusal(failure)
            self.failures += 1
            log.error("audit not written, so what it would record does not happen: %s", error)
        if stored:
            for waiter in batch:
                waiter.stored = True
            untold = self._copies.follow(store)
            if untold is not None and self._copy_needed:
                error = AuditError(f"the audit's copy takes nothing: {untold}")
        self._tell(self._told, batch, error, store.head if stored else None)
        return stored

    def _tell(self, what: Callable[..., None], *how: object) -> None:
        """On trio's thread, in the order of these calls."""
        assert self._token is not None
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(what, *how)

    def _rows(self, store: AuditStore, batch: list[_Written]) -> list[tuple[int, bytes, bytes]]:
        rows, seq, mac = [], store.head.seq, store.head.mac
        for waiter in batch:
            seq += 1
            waiter.record = Record(seq, time.time_ns(), time.monotonic_ns(), self._boot_id, waiter.late, waiter.entry)
            content = canonical(waiter.record)
            mac = link(store.key, mac, content)
            rows.append((seq, content, mac))
        return rows

    def _told(self, batch: list[_Written], error: AuditError | None, head: Head | None) -> None:
        """head: where the chain ends now; None when nothing was written."""
        for waiter in batch:
            if waiter.done is not None and not waiter.done.is_set():
                waiter.error = error
                waiter.done.set()
        if head is not None:
            self.records += len(batch)
            self._on_head(head)

    def _answered(self, question: _Question, answer: _Answer) -> None:
        if not question.done.is_set():
            question.answer = answer
            question.done.set()


def _refusal(error: Exception, where: str = "") -> AuditError:
    return error if isinstance(error, AuditError) else AuditError(f"{where}{type(error).__name__}: {error}")
