"""What happens on a host, as server-sent events: a bounded ring that any number of readers follow, each at its own pace.

Each event is written out once, for all. Readers are woken a few at a time, at a pace that slows with their number: the host's
event loop has other things to do. Whoever was away too long is told how much it missed, never left to believe that nothing
happened.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable
from fnmatch import translate
from itertools import islice
from re import compile as pattern
from typing import Any, Final

import msgspec
import trio

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.security.policy import Resource

KEPT: Final = 16_384
"""Events that somebody who was away can catch up on."""
MAX_READERS: Final = 1024
HEARTBEAT_S: Final = 15.0
PACE_S: Final = 0.05
"""What happens within this is sent together."""
PACE_PER_READER_S: Final = 0.0005
WOKEN_AT_ONCE: Final = 16
AT_A_STRETCH: Final = 512
"""Events looked at for one reader before others have their turn."""

_WRITTEN: Final = 32
"""Texts kept for the next reader."""

_encode: Final = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened. text: as sent. Who holds the permission over the resource may see it."""

    type: str
    permission: Permission
    resource: Resource
    kind: str
    text: bytes


class Wanted(msgspec.Struct, frozen=True):
    """What a reader asked for; None is everything."""

    types: frozenset[str] | None = None
    cluster: str | None = None
    namespace: str | None = None
    kind: str | None = None
    name: str | None = None

    def test(self) -> Callable[[Event], bool] | None:
        """None when everything is wanted."""
        if self == Wanted():
            return None
        named = None if self.name is None else pattern(translate(self.name)).match
        resource = {"cluster": self.cluster, "namespace": self.namespace}
        fixed = [(axis, value) for axis, value in resource.items() if value is not None]

        def wants(event: Event) -> bool:
            return (
                (self.types is None or event.type in self.types)
                and (self.kind is None or event.kind == self.kind)
                and all(getattr(event.resource, axis) == value for axis, value in fixed)
                and (named is None or named(event.resource.probe) is not None)
            )

        return wants


class Position(msgspec.Struct, frozen=True):
    """Where a reader is: as the id of an event says it. epoch: of one ring; another ring's numbers mean nothing here."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        epoch, _, seq = text.rpartition("-")
        return cls(epoch, int(seq)) if seq.isascii() and seq.isdigit() and len(seq) <= 20 else None


class View(msgspec.Struct, frozen=True):
    """What one reader is shown; None for everything. Views with the same key show the same."""

    key: Hashable
    shows: Callable[[Event], bool] | None


class Events:
    """The ring of one host. `run` has to run for readers to hear anything."""

    def __init__(self, kept: int = KEPT) -> None:
        self.epoch = secrets.token_hex(4)
        self.readers = 0
        self._ring: deque[Event] = deque(maxlen=kept)
        self._next = 0
        """Number of the next event."""
        self._shown = 0
        """Up to where readers are told: what comes meanwhile waits for the next time they are woken, all together."""
        self._news = trio.Event()
        self._waiting: list[trio.Event] = []
        self._closed = False
        self._written: dict[tuple[int, int, Hashable], bytes] = {}

    @property
    def now(self) -> Position:
        """Behind the last event."""
        return Position(self.epoch, self._next)

    @property
    def closed(self) -> bool:
        """The host is leaving."""
        return self._closed

    def put(self, type_: str, permission: Permission, resource: Resource, data: Any, *, kind: str = "") -> None:
        """data: what json can hold."""
        seq = self._next + 1
        text = b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (self.epoch.encode(), seq, type_.encode(), _encode(data))
        self._ring.append(Event(type_, permission, resource, kind, text))
        self._next = seq
        self._news.set()

    def close(self) -> None:
        """Readers are told where to go on, and end."""
        self._closed = True
        self._shown = self._next
        self._news.set()
        self._wake(self._waiting)

    async def run(self) -> None:
        """Wake readers when something has happened, until cancelled."""
        while True:
            await self._news.wait()
            await trio.sleep(PACE_S + PACE_PER_READER_S * self.readers)
            self._news = trio.Event()
            self._shown = self._next
            waiting, self._waiting = self._waiting, []
            for start in range(0, len(waiting), WOKEN_AT_ONCE):
                self._wake(waiting[start : start + WOKEN_AT_ONCE])
                await trio.lowlevel.checkpoint()

    async def follow(self, after: Position | None, view: Callable[[], View | None], hello: Any) -> AsyncGenerator[bytes, None]:
        """Texts from this position on, or from now; an empty one is a turn of work. Ends when the ring is closed.

        view is asked before each text: what a reader may see can change while it reads. None ends the stream: nobody knows
        any more who reads.
        """
        self.readers += 1
        try:
            seq, missed = self._begin(after)
            yield _control("hello", self.epoch, seq, hello)
            if missed:
                yield _control("gap", self.epoch, seq, {} if missed < 0 else {"missed": missed})
            known = self._next  # what is in the ring already, at once; then as often as all are woken
            while True:
                oldest = self._next - len(self._ring)
                if seq < oldest:
                    yield _control("gap", self.epoch, oldest, {"missed": oldest - seq})
                    seq = oldest
                known = max(known, self._shown)
                seen = view()
                if seen is None:
                    yield _control("end", self.epoch, seq, {"reason": "identity"})
                    return
                if seq < known:
                    end = min(known, seq + AT_A_STRETCH)
                    yield self._text(seq, end, seen)
                    seq = end
                elif self._closed:
                    yield _control("end", self.epoch, seq, {})
                    return
                elif not await self._wait():
                    yield b": still here\n\n"
        finally:
            self.readers -= 1

    def _begin(self, after: Position | None) -> tuple[int, int]:
        """Where to begin, and how many events are lost before it; -1 when nobody knows."""
        if after is None:
            return self._next, 0
        if after.epoch != self.epoch or after.seq > self._next:
            return self._next, -1
        oldest = self._next - len(self._ring)
        return max(after.seq, oldest), max(0, oldest - after.seq)

    def _text(self, begin: int, end: int, view: View) -> bytes:
        """Readers of the same view that keep up ask for the same text: it is made once."""
        key = (begin, end, view.key)
        text = self._written.get(key)
        if text is None:
            oldest = self._next - len(self._ring)
            events = islice(self._ring, begin - oldest, end - oldest)
            text = b"".join([event.text for event in events if view.shows is None or view.shows(event)])
            if len(self._written) >= _WRITTEN:
                self._written.clear()
            self._written[key] = text
        return text

    async def _wait(self) -> bool:
        """False when nothing has happened for so long that the reader should hear that we live."""
        woken = trio.Event()
        self._waiting.append(woken)
        try:
            with trio.move_on_after(HEARTBEAT_S):
                await woken.wait()
            return woken.is_set()
        finally:  # also of a reader that has left: nothing may happen on this host for a long time
            if not woken.is_set():
                self._waiting.remove(woken)

    @staticmethod
    def _wake(waiting: Iterable[trio.Event]) -> None:
        for event in waiting:
            event.set()


def _control(name: str, epoch: str, seq: int, data: Any) -> bytes:
    """An event of the stream itself; its id is where to go on."""
    return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (epoch.encode(), seq, name.encode(), _encode(data))
