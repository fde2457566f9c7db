"""What a run on the task lane comes to see, as it goes: so that one which is cut can be explained as well."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from meshkit_fastprobe.model import Phases

Pair = tuple[bytes, bytes]


class Socket(Protocol):
    def getsockname(self) -> object: ...
    def getpeername(self) -> object: ...


class Seen:
    """Of one target, whose runs never overlap. Times are in seconds since the run began."""

    __slots__ = (
        "_began_s", "_connect_s", "_first_byte_s", "_tls_s", "body_bytes", "connection", "headers", "local", "peer", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nothing is known of this run yet."""
        self._began_s = time.monotonic()
        self._connect_s: float | None = None
        self._tls_s: float | None = None
        self.connection = ""
        self.local = self.peer = ""
        self.asked()

    def asked(self) -> None:
        """A request goes out, perhaps after another that was redirected: the answer is to this one."""
        self._first_byte_s: float | None = None
        self.status = 0
        self.headers: list[Pair] = []
        self.body_bytes = 0

    def connected(self, sock: Socket) -> None:
        """A new connection stands; the one that was kept had died, if there was one, and nothing that it said counts."""
        self._connect_s = self._now_s()
        self._tls_s = self._first_byte_s = None
        self.connection = "retried" if self.connection == "kept" else "new"
        self._ends_of(sock)

    def kept(self, sock: Socket) -> None:
        """The run goes on with what the one before has left."""
        self.connection = "kept"
        self._ends_of(sock)

    def sends_from(self, sock: Socket) -> None:
        """What is asked needs no connection."""
        self._ends_of(sock)

    def _ends_of(self, sock: Socket) -> None:
        try:
            self.local, self.peer = _shown(sock.getsockname()), _shown(sock.getpeername())
        except OSError:  # it was reset since
            self.local = self.peer = ""

    def shook_hands(self) -> None:
        self._tls_s = self._now_s()

    def heard(self) -> None:
        """Bytes of the answer came; only the first of them count."""
        if self._first_byte_s is None:
            self._first_byte_s = self._now_s()

    def answered(self, status: int, headers: Iterable[Pair]) -> None:
        self.status = status
        self.headers = [pair for pair in headers if not pair[0].startswith(b":")]

    def header(self, name: bytes) -> bytes:
        """Of the last answer; "" when it has none such. name: in lower case."""
        return next((value for known, value in self.headers if known.lower() == name), b"")

    @property
    def phases(self) -> Phases:
        """As far as the run has come by now."""
        return Phases(
            connect_s=self._connect_s, tls_s=self._tls_s, first_byte_s=self._first_byte_s, total_s=self._now_s()
        )  # fmt: skip

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s


def _shown(name: object) -> str:
    """An address as people write it; a unix socket's path, which an unnamed end does not have."""
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return f"unix:{text.replace(chr(0), '@')}" if text else "unix"
