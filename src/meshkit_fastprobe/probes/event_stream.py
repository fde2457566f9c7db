"""Server-sent events as bytes bring them: only what tells that a stream is alive, and where it has come to."""

from __future__ import annotations

from typing import Final

MAX_LINE_BYTES: Final = 64 * 1024
MAX_TOKEN_BYTES: Final = 1024


class EndlessLineError(Exception):
    """A line of more than MAX_LINE_BYTES."""


class EventStream:
    """Holds one unfinished line and one token, whatever the stream sends. Data is not looked at."""

    def __init__(self, token: str = "", *, gapless: bool = False) -> None:
        self._resumed_from = token
        self._gapless = gapless
        self._rest = b""
        self._after_return = False
        self.token = token
        self.gap = ""
        """How the stream went on elsewhere than where it had been; "" while it has not."""

    def feed(self, data: bytes) -> bool:
        """Whether a line came that says anything: a field of an event, or a comment, which is what heartbeats are."""
        after_return, self._after_return = self._after_return, data.endswith(b"\r")
        if after_return:
            data = data.removeprefix(b"\n")
        *lines, self._rest = (self._rest + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if max(map(len, (*lines, self._rest))) > MAX_LINE_BYTES:
            raise EndlessLineError
        for line in lines:
            name, _, value = line.partition(b":")
            if name == b"id":
                self._take_token(value.removeprefix(b" "))
        return any(lines)

    def _take_token(self, value: bytes) -> None:
        """Tokens that no header could carry are passed over, as the standard does with those that hold NUL."""
        token = value.decode("latin-1")
        if len(token) > MAX_TOKEN_BYTES or not (token.isascii() and token.isprintable()):
            return
        before, self.token = self.token, token
        if not before:
            return
        if self._resumed_from and token == self._resumed_from:
            self.gap = self.gap or "the event that was named as the last came again"
        elif self._gapless and not follows(before, token):
            self.gap = self.gap or "an event is missing, or came twice"
        self._resumed_from = ""


def follows(before: str, token: str) -> bool:
    """Whether a token is the next one, where tokens are whole numbers; others have no order that we knew."""
    return not (before.isdigit() and token.isdigit()) or int(token) == int(before) + 1
