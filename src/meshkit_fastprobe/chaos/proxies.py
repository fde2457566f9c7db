"""A TCP listener in front of a dependency, on a thread and an event loop of its own, through which faults can pass.

While no fault touches a connection its bytes go from socket to socket through a pipe, by splice(2), and never enter the memory
of this process. With a fault they are read, held until their time, and sent in their order; what waits is bounded, so a slow
reader slows the writer as it would without us. Faults are put on and taken off connections that exist: nothing here has to be
asked or waited for, and what waits when a fault is taken off goes out at once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Literal

import msgspec
import trio

from meshkit_fastprobe.chaos.lots import Delay
from meshkit_fastprobe.config.addresses import split_host_port
from meshkit_fastprobe.errors import FastprobeError
from meshkit_fastprobe.experiments import ProxySettings

Direction = Literal["up", "down", "both"]
PIPE_BYTES: Final = 1 << 18
"""Moved by one splice at most: what a pipe holds."""
READ_BYTES: Final = 65_536
HELD_BYTES: Final = 1 << 20
"""That may wait in one direction of one connection."""
MAX_CONNECTIONS: Final = 10_000
CONNECT_S: Final = 10.0
START_S: Final = 10.0
TURN_S: Final = 1.0
"""For the proxy's loop to come round: it takes milliseconds."""
_RESET: Final = struct.pack("ii", 1, 0)
_MOVE: Final = 3
"""SPLICE_F_MOVE | SPLICE_F_NONBLOCK."""

log = logging.getLogger("meshkit_fastprobe.chaos")


class ProxyError(FastprobeError):
    """A proxy could not be opened; the message says which and why."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault does to what passes. share: of connections. direction: up is to the dependency, down from it."""

    delay: Delay | None = None
    bytes_per_s: float = 0.0
    """0 is no bound."""
    swallow: bool = False
    """Bytes vanish; the connection stays."""
    reset: bool = False
    share: float = 1.0
    direction: Direction = "both"


class Counts(msgspec.Struct):
    connections: int = 0
    """Open now."""
    accepted: int = 0
    refused: int = 0
    """Because the dependency did not take them, or there were too many."""
    touched: int = 0
    """Pieces that a fault delayed or swallowed, and connections it reset."""


class Proxy:
    """One listener. `open` and `close` may be called from any thread; so may `shape` be set."""

    def __init__(self, settings: ProxySettings) -> None:
        self.settings = settings
        self.address = ""
        """Where it listens, once it does."""
        self.counts = Counts()
        self.shaped_by = ""
        """The mark of the fault that passes through it."""
        self._shape: Shape | None = None
        self._connections: set[_Connection] = set()
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._ready = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"fastprobe-proxy-{settings.name}", daemon=True)

    def open(self) -> None:
        """Listen. ProxyError when that cannot be. Blocks for some milliseconds."""
        self._thread.start()
        if not self._ready.wait(START_S) or self._failed is not None:
            raise ProxyError(f"proxy {self.settings.name}: cannot listen on {self.settings.listen}: {self._failed}")

    def close(self) -> None:
        """Reset what is open, and end. Blocks until it is done."""
        self._soon(self._scope.cancel)
        if self._thread.is_alive():
            self._thread.join()

    @property
    def shape(self) -> Shape | None:
        return self._shape

    def put(self, shape: Shape | None, mark: str = "") -> None:
        """Let a fault pass, or none: in force for every connection, also those that exist, when this returns.

        Blocks for a turn of the proxy's loop, never for a connection.
        """
        self._shape = shape
        self.shaped_by = mark if shape is not None else ""
        done = threading.Event()
        self._soon(partial(self._reshape, done))
        done.wait(TURN_S)

    # -- on its own thread ---------------------------------------------------------------------------------------------------

    def _soon(self, what: Callable[[], object]) -> None:
        if self._token is not None:
            try:
                self._token.run_sync_soon(what)
            except trio.RunFinishedError:
                return

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except Exception as error:  # noqa: BLE001 - told where it was opened, or in the log
            self._failed = error
            log.error("proxy %s ended: %s", self.settings.name, error)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope, _listening(self.settings) as sock:
            host, port = sock.getsockname()[:2]
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._ready.set()
            async with trio.open_nursery() as nursery:
                while True:
                    client, _ = await sock.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.counts.accepted += 1
                    nursery.start_soon(self._carry, client)

    async def _carry(self, client: trio.socket.SocketType) -> None:
        """One connection, to its end."""
        upstream = await _connected(self.settings.upstream) if len(self._connections) < MAX_CONNECTIONS else None
        if upstream is None:
            self.counts.refused += 1
            _reset(client)
            return
        connection = _Connection(self, client, upstream)
        self._connections.add(connection)
        self.counts.connections += 1
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self.counts.connections -= 1

    def _reshape(self, done: threading.Event) -> None:
        for connection in tuple(self._connections):
            connection.reshape(self._shape)
        done.set()


class _Connection:
    def __init__(self, proxy: Proxy, client: trio.socket.SocketType, upstream: trio.socket.SocketType) -> None:
        self._lot = random.random()  # noqa: S311 - whether a share of the connections includes this one
        self._ends = (client, upstream)
        self._scope = trio.CancelScope()
        self._pumps = (_Pump(proxy.counts, client, upstream), _Pump(proxy.counts, upstream, client))
        self._counts = proxy.counts
        self.reshape(proxy.shape)

    async def run(self) -> None:
        """Until both ends have ended; whatever ends it otherwise resets both, so that nobody takes a part for the whole."""
        in_order = False
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for pump in self._pumps:
                        nursery.start_soon(pump.run)
                in_order = True
        except* OSError:
            in_order = False
        finally:
            for end in self._ends:
                if in_order:
                    end.close()
                else:
                    _reset(end)

    def reshape(self, shape: Shape | None) -> None:
        mine = shape if shape is not None and self._lot < shape.share else None
        if mine is not None and mine.reset:
            self._counts.touched += 1
            self._scope.cancel()
        for pump, direction in zip(self._pumps, ("up", "down"), strict=True):
            pump.reshape(mine if mine is not None and mine.direction in {direction, "both"} else None)


class _Pump:
    """One direction of one connection: a reader, and a sender of what waits."""

    def __init__(self, counts: Counts, source: trio.socket.SocketType, sink: trio.socket.SocketType) -> None:
        self._counts = counts
        self._source = source
        self._sink = sink
        self._shape: Shape | None = None
        self._held: deque[tuple[float, bytes]] = deque()
        """What waits, each with the moment from which on it may go; in order, never overtaking."""
        self._held_bytes = 0
        self._ended = False
        self._changed = trio.Event()
        self._room = trio.Event()

    def reshape(self, shape: Shape | None) -> None:
        self._shape = shape
        self._changed.set()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send)
            read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            with suppress(PermissionError):  # a user's pipes share a bound; beyond it they are of the usual size
                fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            try:
                await self._read(read, write)
            finally:
                os.close(read)
                os.close(write)

    async def _read(self, read: int, write: int) -> None:
        while not self._ended:
            await trio.lowlevel.wait_readable(self._source)
            if self._shape is None and not self._held:
                await self._splice(read, write)
            else:
                await self._take()

    async def _splice(self, read: int, write: int) -> None:
        """From socket to socket, at most a pipe full: no byte of it comes here."""
        try:
            moved = os.splice(self._source.fileno(), write, PIPE_BYTES, flags=_MOVE)
        except BlockingIOError:
            return
        if not moved:
            self._end()
        while moved:
            try:
                moved -= os.splice(read, self._sink.fileno(), moved, flags=_MOVE)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sink)

    async def _take(self) -> None:
        """Read a piece and let it wait; while too much waits, the writer at the other end waits too."""
        while self._held_bytes >= HELD_BYTES:
            self._room = trio.Event()
            await self._room.wait()
        piece = await self._source.recv(READ_BYTES)
        shape = self._shape
        if not piece:
            self._end()
        elif shape is not None and shape.swallow:
            self._counts.touched += 1
        else:
            delay_s = 0.0 if shape is None or shape.delay is None else shape.delay.draw()
            self._counts.touched += shape is not None
            self._held.append((trio.current_time() + delay_s, piece))
            self._held_bytes += len(piece)
            self._changed.set()

    def _end(self) -> None:
        self._ended = True
        self._changed.set()

    async def _send(self) -> None:
        """What waits, each piece at its time and at the pace there is; then the end, where the reader has seen it."""
        while True:
            if not self._held:
                if self._ended:
                    self._sink.shutdown(socket.SHUT_WR)
                    return
                self._changed = trio.Event()
                await self._changed.wait()
                continue
            due, piece = self._held[0]
            if self._shape is not None and await self._waited(due):
                continue  # another shape, other times
            self._held.popleft()
            self._held_bytes -= len(piece)
            await self._send_all(piece)
            self._room.set()

    async def _waited(self, due: float) -> bool:
        """Until `due`; True when the shape was changed before."""
        if due <= trio.current_time():
            return False
        self._changed = trio.Event()
        shape = self._shape
        with trio.move_on_at(due):
            while self._shape is shape:
                await self._changed.wait()
                self._changed = trio.Event()
            return True
        return False

    async def _send_all(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:
            shape = self._shape
            part = left
            if shape is not None and shape.bytes_per_s:
                part = left[: max(1, int(shape.bytes_per_s / 20))]
                await trio.sleep(len(part) / shape.bytes_per_s)
            left = left[await self._sink.send(part) :]


class _listening:  # noqa: N801 - read as a verb: with _listening()
    def __init__(self, settings: ProxySettings) -> None:
        host, port = split_host_port("proxy.listen", settings.listen, lowest_port=0)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(4096)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> trio.socket.SocketType:
        return trio.socket.from_stdlib_socket(self._socket)

    def __exit__(self, *_: object) -> None:
        self._socket.close()


async def _connected(upstream: str) -> trio.socket.SocketType | None:
    """None when the dependency does not take it."""
    host, port = split_host_port("proxy.upstream", upstream, lowest_port=1)
    with trio.move_on_after(CONNECT_S), suppress(OSError):
        for family, kind, protocol, _, address in await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            end = trio.socket.socket(family, kind, protocol)
            try:
                await end.connect(address)
            except OSError:
                end.close()
                continue
            except BaseException:
                end.close()
                raise
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return end
    return None


def _reset(end: trio.socket.SocketType) -> None:
    if end.fileno() >= 0:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.close()
