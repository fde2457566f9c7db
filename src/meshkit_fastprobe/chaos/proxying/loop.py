"""The event loop of a proxy: sockets and moments, on a thread of its own.

Not trio's: a proxy that holds a thousand connections back by 50 ms is woken two thousand times a second, each time for a few
microseconds of work, and has to be on time to a fraction of a millisecond. Sockets stay registered, there is no task to switch
to, and one timer of the kernel, which counts nanoseconds where epoll counts milliseconds, stands for all moments.
"""

from __future__ import annotations

import ctypes
import heapq
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Protocol

from meshkit_fastprobe.errors import FastprobeError

READ: Final = 1  # EPOLLIN
WRITE: Final = 4  # EPOLLOUT
MAX_EVENTS: Final = 256
_CLOCK_MONOTONIC: Final = 1
_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)

now: Final = time.monotonic
"""The clock of all moments here: seconds of CLOCK_MONOTONIC, which is the timer's."""


class UnsupportedError(FastprobeError):
    """There is no epoll here."""


class Handler(Protocol):
    """Of one descriptor: what it can do now, as READ and WRITE; an error or a hang-up counts as what was asked for."""

    def __call__(self, events: int) -> None: ...


class Loop:
    """`run` it on one thread; `soon` may be called from any."""

    def __init__(self) -> None:
        """UnsupportedError: not on this system. OSError: no descriptor is left; then none was taken either."""
        if not hasattr(select, "epoll"):
            raise UnsupportedError("proxies take Linux")
        self._handlers: dict[int, Handler] = {}
        self._asked: dict[int, int] = {}
        self._moments: list[tuple[float, int, Callable[[], None]]] = []
        self._moment_number = 0
        self._called: deque[Callable[[], object]] = deque()
        self._ended = self._closed = False
        self._lock = threading.Lock()  # what is closed may be somebody else's number at once
        with ExitStack() as taken:
            self._epoll = taken.enter_context(select.epoll())
            self._timer = _Timer()
            taken.callback(os.close, self._timer.descriptor)
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            taken.callback(os.close, self._bell)
            self._epoll.register(self._bell, READ)
            self._epoll.register(self._timer.descriptor, READ)
            taken.pop_all()
        self._handlers[self._bell] = lambda _: self._rung()
        self._handlers[self._timer.descriptor] = lambda _: self._timer.read()

    def soon(self, call: Callable[[], object]) -> None:
        """On the loop's thread, in the order of asking; not at all once it has ended."""
        self._called.append(call)
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._bell, 1)

    def ask(self, descriptor: int, events: int, handler: Handler) -> None:
        """Call the handler while any of these events holds; none of them: not at all, whatever happens to it."""
        before = self._asked.get(descriptor, 0)
        if events == before:
            return
        if not events:
            self._epoll.unregister(descriptor)
            del self._asked[descriptor], self._handlers[descriptor]
            return
        if before:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._asked[descriptor], self._handlers[descriptor] = events, handler

    def at(self, moment: float, call: Callable[[], None]) -> None:
        """Then, and never before. There is no taking back: the call has to be calm when it is not wanted any more."""
        self._moment_number += 1
        heapq.heappush(self._moments, (moment, self._moment_number, call))

    def end(self) -> None:
        self._ended = True

    def run(self) -> None:
        """Until `end`."""
        while not self._ended:
            self._timer.set(self._moments[0][0] if self._moments else None)
            for descriptor, events in self._epoll.poll(None, MAX_EVENTS):
                handler = self._handlers.get(descriptor)  # one before may have dropped it
                if handler is not None:
                    handler(events & (READ | WRITE) or self._asked.get(descriptor, 0))
            self._call_due()

    def close(self) -> None:
        """Once it does not run any more."""
        with self._lock:
            self._closed = True
            for descriptor in (self._bell, self._timer.descriptor):
                os.close(descriptor)
        self._epoll.close()

    def _call_due(self) -> None:
        moment = now()
        while self._moments and self._moments[0][0] <= moment:
            heapq.heappop(self._moments)[2]()

    def _rung(self) -> None:
        os.eventfd_read(self._bell)
        while self._called:
            self._called.popleft()()


class _Timer:
    """One timer of the kernel (timerfd, which Python has since 3.13 only)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.descriptor < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"no timer: {os.strerror(error)}")
        self._set: float | None = None
        self._when = (ctypes.c_long * 4)()

    def set(self, moment: float | None) -> None:
        if moment == self._set:
            return
        self._set = moment
        left_ns = 0 if moment is None else max(1, int((moment - now()) * 1e9) + 1)  # 0 would be never
        self._when[2], self._when[3] = divmod(left_ns, 1_000_000_000)
        self._libc.timerfd_settime(self.descriptor, 0, ctypes.byref(self._when), None)

    def read(self) -> None:
        self._set = None
        os.read(self.descriptor, 8)
