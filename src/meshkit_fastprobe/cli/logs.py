"""The log of a host on stderr, written by a thread of its own.

A terminal that is stopped, or a pipe that nobody reads, then holds up the log alone, not the host. Lines that do not fit into
the queue are dropped, and their number is told when it moves again.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from logging.handlers import QueueHandler
from queue import Full, Queue
from threading import Thread
from typing import Final

from meshkit_fastprobe.telemetry.log_fields import ConsoleLines, JsonLines

KEPT: Final = 4096
"""Lines that wait for the reader."""
FLUSH_S: Final = 2.0
"""For what waits when the host ends."""
_TRACEBACKS: Final = logging.Formatter()


class WaitingHandler(QueueHandler):
    """Never blocks who logs."""

    def __init__(self, kept: int = KEPT) -> None:
        self.lines: Queue[logging.LogRecord | None] = Queue(kept)
        self.dropped = 0  # since the start: who tells of it remembers how much was told
        super().__init__(self.lines)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Made text of here, on the thread of who logs: what the record is about goes on changing."""
        made = copy.copy(record)
        made.msg = made.message = record.getMessage()
        made.args = None
        if record.exc_info:
            made.exc_text = _TRACEBACKS.formatException(record.exc_info)
        made.exc_info = None
        return made

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging gives it
        """Told in its place; writing to stderr, as logging does it, could block."""
        self.enqueue(_of_untold(record))

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put_nowait(record)
        except Full:
            self.dropped += 1


class LogForm(StrEnum):
    """For people, or a JSON object a line."""

    console = "console"
    json = "json"


@contextmanager
def logging_aside(descriptor: int = 2, kept: int = KEPT, form: LogForm = LogForm.console) -> Iterator[WaitingHandler]:
    """Everything from INFO on goes to this descriptor (stderr) while the context lasts."""
    waiting = WaitingHandler(kept)
    formatter = JsonLines() if form is LogForm.json else ConsoleLines()
    thread = Thread(target=_write, args=(waiting, descriptor, formatter), name="fastprobe-log", daemon=True)
    root = logging.getLogger()
    level = root.level
    root.addHandler(waiting)
    root.setLevel(logging.INFO)
    thread.start()
    try:
        yield waiting
    finally:
        root.removeHandler(waiting)
        root.setLevel(level)
        _end(waiting, thread)


def _write(waiting: WaitingHandler, descriptor: int, formatter: logging.Formatter) -> None:
    """Past sys.stderr: a thread that is stuck in there at the end of the process would take its lock along, and abort it."""
    told = 0
    with suppress(OSError):  # nobody is there to be told that nobody is there
        while (record := waiting.lines.get()) is not None:
            _write_line(descriptor, _told(formatter, record))
            dropped = waiting.dropped
            if dropped > told:
                _write_line(descriptor, formatter.format(_of_dropped(dropped - told)))
            told = dropped


def _told(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """A record that nobody can make a line of costs its own line, not all that follow."""
    try:
        return formatter.format(record)
    except Exception:  # noqa: BLE001 - whatever it was
        return formatter.format(_of_untold(record))


def _of_untold(record: logging.LogRecord) -> logging.LogRecord:
    text = f"a line of the log could not be told: {record.name}, {record.filename}:{record.lineno}"
    return logging.makeLogRecord(
        {"name": "meshkit_fastprobe", "levelno": logging.ERROR, "levelname": "ERROR", "msg": text, "created": record.created}
    )


def _of_dropped(lines: int) -> logging.LogRecord:
    text = f"{lines} lines of the log were dropped: nobody took them"
    return logging.makeLogRecord(
        {"name": "meshkit_fastprobe", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text, "dropped": lines}
    )


def _write_line(descriptor: int, text: str) -> None:
    left = memoryview(f"{text}\n".encode(errors="backslashreplace"))
    while left:
        left = left[os.write(descriptor, left) :]


def _end(waiting: WaitingHandler, thread: Thread) -> None:
    """Readers have a moment for what waits; one who takes nothing does not keep the host from ending."""
    with suppress(Full):
        waiting.lines.put(None, timeout=FLUSH_S)
        thread.join(FLUSH_S)
