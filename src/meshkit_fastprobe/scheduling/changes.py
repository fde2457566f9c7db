"""State transitions as they happen, to any number of listeners, each with a bounded queue of its own."""

from __future__ import annotations

from collections import deque
from typing import Final
from weakref import WeakSet

import trio

from meshkit_fastprobe.model import Transition

MAX_QUEUED: Final = 10_000


class ChangeStream:
    """An async iterator of transitions, from the moment it was made.

    A listener that falls behind loses the oldest; `lost` counts them.
    """

    def __init__(self) -> None:
        self._queue: deque[Transition] = deque(maxlen=MAX_QUEUED)
        self._news = trio.Event()
        self._closed = False
        self.lost = 0

    def put(self, change: Transition) -> None:
        if len(self._queue) == MAX_QUEUED:
            self.lost += 1
        self._queue.append(change)
        self._news.set()

    def close(self) -> None:
        """End the iteration once the queue is empty."""
        self._closed = True
        self._news.set()

    def __aiter__(self) -> ChangeStream:
        return self

    async def __anext__(self) -> Transition:
        await trio.lowlevel.checkpoint()
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._news = trio.Event()
            await self._news.wait()
        return self._queue.popleft()


class Changes:
    """All open streams. A stream nobody holds any more disappears by itself."""

    def __init__(self) -> None:
        self._streams: WeakSet[ChangeStream] = WeakSet()

    def __bool__(self) -> bool:
        return bool(self._streams)

    def listen(self) -> ChangeStream:
        stream = ChangeStream()
        self._streams.add(stream)
        return stream

    def publish(self, change: Transition) -> None:
        for stream in self._streams:
            stream.put(change)

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
