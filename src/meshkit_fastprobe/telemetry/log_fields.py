"""Fields of log records, and records as JSON: a line each, for machines.

Fields are whatever was given as `extra`: those of a transition, of a step of an experiment, of a request and its trace.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

_PLAIN: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
"""What every record has."""


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was said of it besides its text."""
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


class JsonLines(logging.Formatter):
    """A JSON object a line: time, level, logger, message, and the fields; what is no JSON is told as text."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:  # a queue in between has made text of it
            told["exception"] = record.exc_text
        return msgspec.json.encode({**fields_of(record), **told}, enc_hook=str).decode()
