"""A TCP listener in front of a dependency.

While no fault touches a connection its bytes go from socket to socket through a pipe, by splice(2), and never enter the memory
of this process. With a fault they are read, held until their time, and sent in their order; what waits is bounded, so a slow
reader slows the writer as it would without us.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import Any, Final

from meshkit_fastprobe.chaos.proxies import Proxy, Shape
from meshkit_fastprobe.chaos.proxying.holding import ITEM_BYTES
from meshkit_fastprobe.chaos.proxying.loop import READ, WRITE, Loop, now
from meshkit_fastprobe.chaos.proxying.upstream import Addresses, Upstream

PIPE_BYTES: Final = 1 << 18
"""Moved by one splice at most: what a pipe holds."""
READ_BYTES: Final = 65_536
HELD_BYTES: Final = 1 << 20
"""That may wait in one direction of one connection, with what it costs to hold them."""
PROXY_BYTES: Final = 256 << 20
"""That may wait in a proxy: with many connections, each has its share of it."""
LEAST_BYTES: Final = 4096
"""That may wait in one direction even so: what holds nothing would not move on."""
MAX_CONNECTIONS: Final = 10_000
ACCEPTS_AT_ONCE: Final = 64
REST_S: Final = 0.1
"""Before the next accept, when there are no descriptors left."""
CONNECT_S: Final = 10.0
PORTIONS: Final = 20
"""Of a second, in which a bound on bandwidth is kept."""
_RESET: Final = struct.pack("ii", 1, 0)
_MOVE: Final = 3
"""SPLICE_F_MOVE | SPLICE_F_NONBLOCK."""


class TcpProxy(Proxy):
    protocol = "tcp"
    socket_kind = socket.SOCK_STREAM

    def serve(self) -> None:
        self._connections: set[_Connection] = set()
        self._upstream = Upstream(self._loop, self.settings.upstream, socket.SOCK_STREAM)
        self.held_bytes = 0
        self._listen()

    def reshape(self) -> None:
        for connection in tuple(self._connections):
            connection.reshape(self.shape)

    def drop(self) -> None:
        for connection in tuple(self._connections):
            connection.end(in_order=False)
        self._upstream.close()

    def _listen(self) -> None:
        self._loop.ask(self._socket.fileno(), READ, lambda _: self._accept())

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:  # no descriptors: it would be told of the same connection again at once
                self._loop.ask(self._socket.fileno(), 0, lambda _: None)
                self._loop.at(now() + REST_S, self._listen)
                return
            self.counts.accepted += 1
            if len(self._connections) >= MAX_CONNECTIONS:
                self.counts.refused += 1
                _reset(client)
                continue
            _prepare(client)
            _Connection(self._loop, self, client)

    def most_bytes(self) -> int:
        """That may wait now in one direction of one connection."""
        if self.held_bytes >= PROXY_BYTES:  # those that were there before hold more than their share of now
            return LEAST_BYTES
        return max(LEAST_BYTES, min(HELD_BYTES, PROXY_BYTES // (2 * max(1, self.counts.connections))))

    # -- what connections tell -----------------------------------------------------------------------------------------------

    def begins(self, connection: _Connection) -> None:
        self._connections.add(connection)
        self._upstream.find(connection.connect)

    def ended(self, connection: _Connection) -> None:
        self._connections.discard(connection)


class _Connection:
    """A client and, once the dependency has taken it, the other end."""

    def __init__(self, loop: Loop, proxy: TcpProxy, client: socket.socket) -> None:
        self._loop = loop
        self._proxy = proxy
        self._lot = random.random()  # noqa: S311 - whether a share of the connections includes this one
        self._client = client
        self._upstream: socket.socket | None = None
        self._to_try: Addresses = []
        self._pumps: tuple[_Pump, ...] = ()
        self._over = False
        loop.at(now() + CONNECT_S, self._too_late)
        proxy.begins(self)

    # -- connecting ----------------------------------------------------------------------------------------------------------

    def connect(self, addresses: Addresses) -> None:
        self._to_try = addresses
        self._try_next()

    def _try_next(self) -> None:
        while not self._over:
            if not self._to_try:
                self._refused()
                return
            family, address = self._to_try.pop(0)
            with suppress(OSError):
                self._attempt(family, address)
                return

    def _attempt(self, family: int, address: Any) -> None:
        end = socket.socket(family, socket.SOCK_STREAM)
        try:
            _prepare(end)
            end.connect(address)
        except BlockingIOError:
            pass
        except OSError:
            end.close()
            raise
        self._upstream = end
        self._loop.ask(end.fileno(), WRITE, lambda _: self._connected(end))

    def _connected(self, end: socket.socket) -> None:
        failed = end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not failed and not _has_peer(end):
            return  # this was said of another that had its number until now
        self._loop.ask(end.fileno(), 0, lambda _: None)
        if failed:
            self._upstream = None
            end.close()
            self._try_next()
            return
        ends = (_End(self._loop, self, self._client), _End(self._loop, self, end))
        self._pumps = (_Pump(self._loop, self._proxy, *ends), _Pump(self._loop, self._proxy, *reversed(ends)))
        self._proxy.counts.connections += 1
        for pump in self._pumps:
            pump.begin()
        self.reshape(self._proxy.shape)

    def _too_late(self) -> None:
        if not self._pumps and not self._over:
            self._refused()

    def _refused(self) -> None:
        self._proxy.counts.refused += 1
        self.end(in_order=False)

    # -- carrying ------------------------------------------------------------------------------------------------------------

    def reshape(self, shape: Shape | None) -> None:
        mine = shape if shape is not None and self._lot < shape.share else None
        if not self._pumps:
            return
        if mine is not None and mine.reset:
            self._proxy.counts.touched += 1
            self.end(in_order=False)
            return
        for pump, direction in zip(self._pumps, ("up", "down"), strict=True):
            pump.reshape(None if mine is None else mine.towards(direction))
            self.look(pump.flush)

    def look(self, work: Any) -> None:
        """Do it; whatever goes wrong resets both ends, so that nobody takes a part for the whole."""
        if self._over:
            return
        try:
            work()
        except OSError:
            self.end(in_order=False)
            return
        if all(pump.done for pump in self._pumps):
            self.end(in_order=True)

    def end(self, *, in_order: bool) -> None:
        if self._over:
            return
        self._over = True
        self._proxy.counts.connections -= bool(self._pumps)
        for end in (self._client, self._upstream):
            if end is not None:
                self._loop.ask(end.fileno(), 0, lambda _: None)
                if in_order:
                    end.close()
                else:
                    _reset(end)
        for pump in self._pumps:
            pump.close()
        self._proxy.ended(self)


class _End:
    """One socket, whose reading is the business of one pump and whose writing that of the other."""

    def __init__(self, loop: Loop, connection: _Connection, sock: socket.socket) -> None:
        self.socket = sock
        self.connection = connection
        self.number = sock.fileno()
        self._loop = loop
        self._asked = 0
        self.readable = self.writable = _nothing

    def ask(self, event: int, wanted: bool) -> None:
        asked = self._asked | event if wanted else self._asked & ~event
        if asked != self._asked:
            self._asked = asked
            self._loop.ask(self.number, asked, self._happened)

    def _happened(self, events: int) -> None:
        if events & self._asked & WRITE:
            self.connection.look(self.writable)
        if events & self._asked & READ:
            self.connection.look(self.readable)


class _Pump:
    """One direction of one connection: reads, holds, and sends what waits."""

    def __init__(self, loop: Loop, proxy: TcpProxy, source: _End, sink: _End) -> None:
        self.done = False
        self._loop = loop
        self._proxy = proxy
        self._counts = proxy.counts
        self._source = source
        self._sink = sink
        self._shape: Shape | None = None
        self._held: deque[tuple[float, bytes | memoryview]] = deque()
        """What waits, each with the moment from which on it may go; in order, never overtaking."""
        self._held_bytes = 0
        self._alarm = 0.0
        """The next moment at which this is looked at, if it is to come."""
        self._earned_at = 0.0
        """When the next portion may pass by a bound on bandwidth."""
        self._pipe: tuple[int, int] | None = None
        self._in_pipe = 0
        self._ended = False
        self._lost = False
        """Whether a fault has swallowed bytes."""

    def begin(self) -> None:
        self._source.readable, self._sink.writable = self._read, self.flush
        self._source.ask(READ, wanted=True)

    def reshape(self, shape: Shape | None) -> None:
        self._shape = shape
        self._earned_at = 0.0

    def close(self) -> None:
        for descriptor in self._pipe or ():
            os.close(descriptor)
        self._pipe = None
        self._held.clear()  # alarms that are still to come keep this alive until then
        self._hold(-self._held_bytes)

    # -- reading -------------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            if self._shape is None and not self._held:
                self._splice()
            else:
                self._take()
        except BlockingIOError:
            return
        self.flush()

    def _splice(self) -> None:
        """Into the pipe, and out of it by `flush`: no byte of it comes here."""
        if self._pipe is None:
            self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            with suppress(PermissionError):  # a user's pipes share a bound; beyond it they are of the usual size
                fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        moved = os.splice(self._source.number, self._pipe[1], PIPE_BYTES, flags=_MOVE)
        self._in_pipe += moved
        self._ended = not moved

    def _take(self) -> None:
        room = self._room()
        if room <= 0:  # shares have become smaller since this was asked for
            return
        piece = self._source.socket.recv(min(READ_BYTES, room))
        shape = self._shape
        if not piece:
            self._ended = True
        elif shape is not None and shape.swallow:
            self._lost = True
            self._counts.touched += 1
        else:
            delay_s = 0.0 if shape is None or shape.delay is None else shape.delay.draw()
            self._counts.touched += shape is not None
            self._held.append((now() + delay_s, piece))
            self._hold(ITEM_BYTES + len(piece))

    def _room(self) -> int:
        """For the bytes of another piece."""
        return self._proxy.most_bytes() - self._held_bytes - ITEM_BYTES

    def _hold(self, more: int) -> None:
        self._held_bytes += more
        self._proxy.held_bytes += more

    # -- sending -------------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what may go now, and see to it that the rest is looked at in time."""
        if self.done:
            return
        blocked = not self._emptied() or not self._sent_due()
        self._sink.ask(WRITE, wanted=blocked)
        # A pipe that is not empty, and more held than may be, are for whoever writes to wait for.
        self._source.ask(READ, wanted=not self._ended and not self._in_pipe and (not self._held or self._room() > 0))
        if self._ended and not self._in_pipe and not self._held:
            self._pass_end()

    def _pass_end(self) -> None:
        """A partition carries no end either: it passes when the fault is undone."""
        if self._shape is not None and self._shape.swallow:
            return
        if self._lost:
            raise ConnectionResetError  # for `look`: in order, it would tell the reader that this was all
        self._sink.socket.shutdown(socket.SHUT_WR)
        self.done = True

    def _emptied(self) -> bool:
        """Whether nothing is left in the pipe."""
        while self._in_pipe:
            assert self._pipe is not None
            try:
                self._in_pipe -= os.splice(self._pipe[0], self._sink.number, self._in_pipe, flags=_MOVE)
            except BlockingIOError:
                return False
        return True

    def _sent_due(self) -> bool:
        """Whether the reader takes more: False when it does not."""
        while self._held:
            due, piece = self._held[0]
            part, moment = self._portion(piece, due)
            if self._shape is not None and moment > now():
                self._look_again(moment)
                return True
            try:
                sent = self._sink.socket.send(part)
            except BlockingIOError:
                return False
            self._earned_at = 0.0
            self._hold(-sent)
            if sent == len(piece):
                self._held.popleft()
                self._hold(-ITEM_BYTES)
            else:
                self._held[0] = (due, memoryview(piece)[sent:])
        return True

    def _portion(self, piece: bytes | memoryview, due: float) -> tuple[bytes | memoryview, float]:
        """As much of it as goes at once, and when."""
        bytes_per_s = 0.0 if self._shape is None else self._shape.bytes_per_s
        if not bytes_per_s:
            return piece, due
        part = piece[: max(1, int(bytes_per_s / PORTIONS))]
        self._earned_at = self._earned_at or max(due, now()) + len(part) / bytes_per_s
        return part, self._earned_at

    def _look_again(self, moment: float) -> None:
        if not now() < self._alarm <= moment:  # one that is set for before will set the next
            self._alarm = moment
            self._loop.at(moment, self._rung)

    def _rung(self) -> None:
        self._source.connection.look(self.flush)


def _nothing() -> None: ...


def _has_peer(end: socket.socket) -> bool:
    try:
        end.getpeername()
    except OSError:
        return False
    return True


def _prepare(end: socket.socket) -> None:
    end.setblocking(False)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()
