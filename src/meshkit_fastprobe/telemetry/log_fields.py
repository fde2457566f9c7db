"""Fields of log records, and records as lines: JSON for machines, or text for people.

Fields are whatever was given as `extra`: those of a transition, of a step of an experiment, of a request and its trace. Part of
a line may be what a stranger sent, so none of it is trusted to be text that can be encoded, or to be on one line.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

CONSOLE: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_PLAIN: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
"""What every record has."""
_CONTROLS: Final = {code: ascii(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
"""What ends a line or steers a terminal, and how it is told instead."""
_BELOW: Final = "    "
"""Before what belongs to the line above, so that no part of it looks like a line of its own."""


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was said of it besides its text."""
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def encodable(text: str) -> str:
    """With lone surrogates, which no encoding has, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


class JsonLines(logging.Formatter):
    """A JSON object a line: time, level, logger, message, and the fields; what is no JSON is told as text."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": encodable(record.getMessage()),
        }
        if record.exc_info:
            told["exception"] = encodable(self.formatException(record.exc_info))
        elif record.exc_text:  # a queue in between has made text of it
            told["exception"] = encodable(record.exc_text)
        fields = fields_of(record)
        try:
            return msgspec.json.encode({**fields, **told}, enc_hook=str).decode()
        except (ValueError, TypeError, OverflowError, RecursionError):  # somewhere in the fields, however deep
            as_text = {encodable(str(key)): encodable(str(value)) for key, value in fields.items()}
            return msgspec.json.encode({**as_text, **told}).decode()


class ConsoleLines(logging.Formatter):
    """A line of text; only a traceback has more, and those are indented."""

    def __init__(self) -> None:
        super().__init__(CONSOLE)

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage().translate(_CONTROLS)
        record.asctime = self.formatTime(record)
        below = self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
        # Split where a line ends for a terminal, and nowhere else: the rest is escaped like the message.
        lines = (f"{_BELOW}{line.translate(_CONTROLS)}" for line in below.split("\n") if line)
        return "\n".join((self.formatMessage(record), *lines))
