"""Which requests are traced, and under which id (W3C Trace Context): what happens because of one carries that id in the log.

Who asks decides for its own requests, by the flag of `traceparent`; those that come without one are sampled here.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import msgspec

_traceparent = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 0x01


class Trace(msgspec.Struct, frozen=True):
    """Of one request: the trace it belongs to, and its own part of it; in hexadecimal, as headers carry them."""

    trace_id: str
    span_id: str


TRACE: Final[ContextVar[Trace | None]] = ContextVar("TRACE", default=None)
"""Of the request that is being answered, and of what was begun by it."""


class Sampler:
    """probability: of requests that say nothing themselves."""

    def __init__(self, dice: Callable[[], float] = random.random) -> None:
        self.probability = 0.0
        self._dice = dice

    def trace(self, headers: list[bytes]) -> Trace | None:
        """headers: all values of traceparent. One that is malformed says nothing, as the standard wants it."""
        asked = read_traceparent(headers[0]) if len(headers) == 1 else None
        if asked is not None:
            trace_id, sampled = asked
            return Trace(trace_id, secrets.token_hex(8)) if sampled else None
        if self._dice() >= self.probability:
            return None
        return Trace(secrets.token_hex(16), secrets.token_hex(8))


def read_traceparent(value: bytes) -> tuple[str, bool] | None:
    """The trace, and whether its caller traces it; None for what is malformed (version ff, ids of zeros)."""
    match = _traceparent.fullmatch(value)
    if match is None:
        return None
    version, trace_id, parent, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more) or not trace_id.strip(b"0") or not parent.strip(b"0"):
        return None
    return trace_id.decode(), bool(int(flags, 16) & _SAMPLED)


def traced() -> dict[str, str]:
    """What a line of the log says of the trace that it belongs to."""
    trace = TRACE.get()
    return {} if trace is None else {"trace_id": trace.trace_id, "span_id": trace.span_id}
