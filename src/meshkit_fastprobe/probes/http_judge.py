"""Judging an answer over HTTP while it arrives, whatever carries it.

All carriers must come to the same verdict on the same answer as http.c does in the engine, so the order of judgement is the
same: status, then headers, as soon as the headers are whole; the body's bound while it arrives; what it contains at its end.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from meshkit_fastprobe.model import Outcome, Reason, Result


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What is expected of an answer; header names in lower case."""

    status: frozenset[int]
    headers: tuple[tuple[bytes, bytes], ...]
    body_contains: bytes
    max_body_bytes: int


class Broken(Exception):  # noqa: N818 - weather
    """The connection ended before the answer did."""

    def __init__(self, reason: Reason, detail: int = 0, message: str = "") -> None:
        super().__init__(str(reason))
        self.outcome = Outcome(Result.FAIL, reason, message, detail)


class Judge:
    """The verdict on one answer. Each method gives it once it is known, and is not called after that."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self.body_bytes = 0
        self._tail = b""  # what may be the beginning of the text looked for
        self._contains = not wish.body_contains
        self.status = 0

    def headers(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Outcome | None:
        """Names in lower case."""
        self.status = status
        if status not in self._wish.status:
            return self.fail(Reason.HTTP_STATUS)
        if self._wish.headers:
            got = list(headers)
            if not all(any(name == wanted and part in value for name, value in got) for wanted, part in self._wish.headers):
                return self.fail(Reason.HEADER_MISMATCH)
        return None

    def body(self, piece: bytes) -> Outcome | None:
        self.body_bytes += len(piece)
        if self.body_bytes > self._wish.max_body_bytes:
            return self.fail(Reason.HTTP_BODY_LIMIT)
        if not self._contains:
            text = self._tail + piece
            self._contains = self._wish.body_contains in text
            self._tail = text[max(0, len(text) - len(self._wish.body_contains) + 1) :]
        return None

    def whole(self) -> Outcome:
        return Outcome(detail=self.status) if self._contains else self.fail(Reason.BODY_MISMATCH)

    def fail(self, reason: Reason) -> Outcome:
        return Outcome(Result.FAIL, reason, detail=self.status)
