"""A few hundred real targets in one process and one thread: `python -m meshkit_fastprobe.testing.targets`.

Reads a JSON list of Target from stdin (one line), prints the same list with the ports it got (one line), and serves until stdin
closes: whoever started it takes it along when it goes, also by kill -9. A bare epoll loop, because it stands beside the prober
on the same machine and must not be what is measured.
"""

from __future__ import annotations

import heapq
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from meshkit_fastprobe.testing.behaviour import Target

BACKLOG: Final = 4096
ACCEPTS_PER_EVENT: Final = 64
MAX_REQUEST_BYTES: Final = 16 * 1024
READ_BYTES: Final = 4096

READABLE: Final = select.POLLIN
"""Of epoll too: the numbers are the same."""

Handler = Callable[[int], None]


class _Poll:
    """poll(2) in epoll's words, where there is no epoll."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register = self._poll.register
        self.unregister = self._poll.unregister

    def poll(self, timeout_s: float, _: int) -> list[tuple[int, int]]:
        return self._poll.poll(None if timeout_s < 0 else timeout_s * 1000)

    def close(self) -> None: ...


class Targets:
    """All targets of one process. `open` binds, `serve` runs until `stop` answers true."""

    def __init__(self) -> None:
        self._poll = select.epoll() if hasattr(select, "epoll") else _Poll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._sockets: list[socket.socket] = []
        self.connections: set[socket.socket] = set()
        """Those that clients have left open so far."""

    def open(self, target: Target) -> Target:
        """Start one target; the same target with the port it has."""
        if target.kind == "dns":
            return self._open_dns(target)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((target.host, target.port))
        listener.setblocking(False)
        self._sockets.append(listener)
        if target.role != "refusing":  # bound and not listening: the kernel refuses, and nobody else can take the port
            listener.listen(BACKLOG)
            self._watch(listener.fileno(), _Listener(self, listener, target).accept)
            if target.role == "flapping":
                self._flap(listener, target, up=True)
        return msgspec.structs.replace(target, port=listener.getsockname()[1])

    def serve(self, stop: Callable[[], bool]) -> None:
        """Serve until stop() is true; it is asked after each batch of events."""
        while not stop():
            timeout = -1.0 if not self._timers else max(0.0, self._timers[0][0] - time.monotonic())
            for fd, _ in self._poll.poll(timeout, 256):
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler(fd)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        for sock in (*self._sockets, *self.connections):
            sock.close()
        self._poll.close()

    def watch_input(self, fd: int, handler: Handler) -> None:
        """Call handler(fd) when fd is readable."""
        self._watch(fd, handler)

    def _watch(self, fd: int, handler: Handler) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, READABLE)

    def forget(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def later(self, delay_s: float, deed: Callable[[], None]) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (time.monotonic() + delay_s, self._timer_number, deed))

    def _flap(self, listener: socket.socket, target: Target, *, up: bool) -> None:
        def turn() -> None:
            if up:
                self.forget(listener.fileno())
                listener.shutdown(socket.SHUT_RDWR)  # on a listening socket: refuse from now on, keep the port
            else:
                listener.listen(BACKLOG)
                self._watch(listener.fileno(), _Listener(self, listener, target).accept)
            self._flap(listener, target, up=not up)

        self.later(target.flap_s, turn)

    def _open_dns(self, target: Target) -> Target:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((target.host, target.port))
        server.setblocking(False)
        self._sockets.append(server)
        if target.role != "hanging":
            self._watch(server.fileno(), _Dns(self, server, target).answer)
        return msgspec.structs.replace(target, port=server.getsockname()[1])


class _Listener:
    """Accepts for one TCP or HTTP target."""

    def __init__(self, targets: Targets, listener: socket.socket, target: Target) -> None:
        self._targets = targets
        self._listener = listener
        self._target = target
        status = "503 Service Unavailable" if target.role == "failing" else "200 OK"
        self.response = f"HTTP/1.1 {status}\r\nContent-Length: {len(target.body)}\r\n\r\n{target.body}".encode()

    def accept(self, _: int) -> None:
        for _ in range(ACCEPTS_PER_EVENT):
            try:
                connection, _ = self._listener.accept()
            except OSError:  # nobody left, gone again, or out of descriptors: the next event tries again
                return
            if self._target.kind == "tcp":
                connection.close()
                continue
            connection.setblocking(False)
            _HttpConnection(self._targets, connection, self._target, self.response).read(connection.fileno())


class _HttpConnection:
    """One client of an HTTP target; several requests one after the other."""

    def __init__(self, targets: Targets, connection: socket.socket, target: Target, response: bytes) -> None:
        self._targets = targets
        self._connection = connection
        self._target = target
        self._response = response
        self._request = b""
        self._watched = False
        targets.connections.add(connection)

    def read(self, fd: int) -> None:
        try:
            data = self._connection.recv(READ_BYTES)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data == b"":
            self._close()
            return
        if data:
            self._request += data
        if b"\r\n\r\n" in self._request:
            self._asked()
        elif len(self._request) > MAX_REQUEST_BYTES:
            self._close()
            return
        if not self._watched and self._connection.fileno() >= 0:
            self._watched = True
            self._targets.watch_input(fd, self.read)

    def _asked(self) -> None:
        self._request = self._request.partition(b"\r\n\r\n")[2]
        if self._target.role == "slow":
            self._targets.later(self._target.delay_s, self._respond)
        elif self._target.role != "hanging":
            self._respond()

    def _respond(self) -> None:
        try:
            self._connection.send(self._response)
        except OSError:  # the client has gone
            self._close()

    def _close(self) -> None:
        if self._watched:
            self._targets.forget(self._connection.fileno())
            self._watched = False
        self._targets.connections.discard(self._connection)
        self._connection.close()


class _Dns:
    """Answers any question with 127.0.0.1, or with NXDOMAIN when failing."""

    def __init__(self, targets: Targets, server: socket.socket, target: Target) -> None:
        self._targets = targets
        self._server = server
        self._target = target

    def answer(self, _: int) -> None:
        for _ in range(ACCEPTS_PER_EVENT):
            try:
                query, client = self._server.recvfrom(READ_BYTES)
            except OSError:
                return
            if len(query) < 17:
                continue
            if self._target.role == "slow":
                self._targets.later(self._target.delay_s, partial(self._send, query, client))
            else:
                self._send(query, client)

    def _send(self, query: bytes, client: tuple[str, int]) -> None:
        end = query.index(0, 12) + 5  # of the question: its name, type and class
        failing = self._target.role == "failing"
        header = (
            query[:2] + (b"\x81\x83" if failing else b"\x81\x80") + b"\0\1" + (b"\0\0" if failing else b"\0\1") + b"\0\0\0\0"
        )
        answer = b"" if failing else b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"
        try:
            self._server.sendto(header + query[12:end] + answer, client)
        except OSError:  # a full buffer loses an answer, as on any network
            return


def main() -> None:
    wanted = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[Target])
    targets = Targets()
    opened = [targets.open(target) for target in wanted]
    sys.stdout.write(msgspec.json.encode(opened).decode() + "\n")
    sys.stdout.flush()
    ended = False

    def input_event(fd: int) -> None:
        nonlocal ended
        ended = not os.read(fd, 1)

    targets.watch_input(sys.stdin.fileno(), input_event)
    try:
        targets.serve(lambda: ended)
    except KeyboardInterrupt:  # Ctrl-C goes to the whole terminal group; the one who started us ends orderly
        pass
    finally:
        targets.close()


if __name__ == "__main__":
    main()
