"""A UDP listener in front of a dependency.

Each client has a socket of its own to the dependency, so that answers find their way back, until nothing is heard of it for a
minute. Datagrams are lost, held back or let through one by one; with jitter they overtake each other, as they do on a network.
"""

from __future__ import annotations

import heapq
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from meshkit_fastprobe.chaos.lots import hits
from meshkit_fastprobe.chaos.proxies import Proxy, Shape
from meshkit_fastprobe.chaos.proxying.holding import ITEM_BYTES
from meshkit_fastprobe.chaos.proxying.loop import READ, now
from meshkit_fastprobe.chaos.proxying.upstream import Addresses, Upstream

DATAGRAM_BYTES: Final = 65_536
READ_AT_ONCE: Final = 64
MAX_CLIENTS: Final = 4096
IDLE_S: Final = 60.0
"""After which a client is forgotten: what the dependency still sends reaches nobody."""
LOOKED_UP_S: Final = 30.0
"""For how long an address of the dependency is used for new clients."""
HELD_BYTES: Final = 16 << 20
"""That may wait in a proxy, with what it costs to hold them; what comes then is lost, as in a router that is full."""


class _Waiting(NamedTuple):
    due: float
    number: int
    send: Callable[[bytes], object]
    data: bytes


class UdpProxy(Proxy):
    protocol = "udp"
    socket_kind = socket.SOCK_DGRAM

    def serve(self) -> None:
        self._clients: dict[Any, _Client] = {}
        self._upstream = Upstream(self._loop, self.settings.upstream, socket.SOCK_DGRAM)
        self._found: tuple[int, Any] | None = None
        self._held: list[_Waiting] = []
        self._held_bytes = self._held_number = 0
        self._numbers = {"up": 0, "down": 0}
        self._earned_at = {"up": 0.0, "down": 0.0}
        self._alarm = 0.0
        self._loop.ask(self._socket.fileno(), READ, lambda _: self._read())
        self._look_up()
        self._forget_idle()

    def reshape(self) -> None:
        """What waits waited for a fault that has changed: it goes out at once."""
        while self._held:
            self._let_go()
        self._numbers = dict.fromkeys(self._numbers, 0)
        self._earned_at = dict.fromkeys(self._earned_at, 0.0)

    def drop(self) -> None:
        for address in tuple(self._clients):
            self._forget(address)
        self._upstream.close()

    # -- from clients --------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        for _ in range(READ_AT_ONCE):
            try:
                data, address = self._socket.recvfrom(DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:  # what the network says of an answer that nobody took
                continue
            client = self._clients.get(address) or self._begun(address)
            if client is not None:
                client.heard = now()
                self._pass("up", client.send, data)

    def _begun(self, address: Any) -> _Client | None:
        if self._found is None or len(self._clients) >= MAX_CLIENTS:
            self.counts.refused += 1
            return None
        family, upstream = self._found
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:  # no descriptors: a network has no place for a datagram either, now and then
            self.counts.refused += 1
            return None
        client = _Client(sock)
        try:
            sock.setblocking(False)
            sock.connect(upstream)
            answer = partial(self._to, address)
            self._loop.ask(sock.fileno(), READ, lambda _: self._answered(client, answer))
        except OSError:
            sock.close()
            self.counts.refused += 1
            return None
        self._clients[address] = client
        self.counts.accepted += 1
        self.counts.connections = len(self._clients)
        return client

    def _answered(self, client: _Client, answer: Callable[[bytes], object]) -> None:
        for _ in range(READ_AT_ONCE):
            try:
                data = client.socket.recv(DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:  # the dependency is not there: a client of it would hear the same, and ours hears nothing
                continue
            client.heard = now()
            self._pass("down", answer, data)

    def _to(self, address: Any, data: bytes) -> None:
        self._socket.sendto(data, address)

    # -- passing -------------------------------------------------------------------------------------------------------------

    def _pass(self, direction: str, send: Callable[[bytes], object], data: bytes) -> None:
        shape = None if self.shape is None else self.shape.towards(direction)
        if shape is None or not hits(shape.share):
            _send(send, data)
            return
        number = self._numbers[direction]
        self._numbers[direction] += 1
        if shape.swallow or (shape.loss is not None and shape.loss.takes(number)):
            self.counts.touched += 1
            return
        if shape.delay is None and not shape.bytes_per_s:
            _send(send, data)
            return
        self.counts.touched += 1
        if self._held_bytes + _cost(data) <= HELD_BYTES:  # before its moment: what is lost takes no time of the line
            self._hold(self._moment(direction, shape, len(data)), send, data)

    def _moment(self, direction: str, shape: Shape, size: int) -> float:
        """When it may go."""
        if shape.bytes_per_s:
            self._earned_at[direction] = max(self._earned_at[direction], now()) + size / shape.bytes_per_s
            return self._earned_at[direction]
        assert shape.delay is not None
        return now() + shape.delay.draw()

    def _hold(self, due: float, send: Callable[[bytes], object], data: bytes) -> None:
        self._held_number += 1
        heapq.heappush(self._held, _Waiting(due, self._held_number, send, data))
        self._held_bytes += _cost(data)
        self._look_again()

    def _look_again(self) -> None:
        if self._held and not now() < self._alarm <= self._held[0].due:
            self._alarm = self._held[0].due
            self._loop.at(self._alarm, self._rung)

    def _rung(self) -> None:
        while self._held and self._held[0].due <= now():
            self._let_go()
        self._look_again()

    def _let_go(self) -> None:
        waiting = heapq.heappop(self._held)
        self._held_bytes -= _cost(waiting.data)
        _send(waiting.send, waiting.data)

    # -- keeping house -------------------------------------------------------------------------------------------------------

    def _look_up(self) -> None:
        self._upstream.find(self._known)
        self._loop.at(now() + LOOKED_UP_S, self._look_up)

    def _known(self, addresses: Addresses) -> None:
        if addresses:  # one that was found before is better than none
            self._found = addresses[0]

    def _forget_idle(self) -> None:
        long_ago = now() - IDLE_S
        for address in [address for address, client in self._clients.items() if client.heard < long_ago]:
            self._forget(address)
        self._loop.at(now() + IDLE_S / 4, self._forget_idle)

    def _forget(self, address: Any) -> None:
        client = self._clients.pop(address)
        self._loop.ask(client.socket.fileno(), 0, lambda _: None)
        client.socket.close()
        self.counts.connections = len(self._clients)


class _Client:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.send = sock.send  # bound once: every datagram that waits has it
        self.heard = now()


def _cost(data: bytes) -> int:
    """Of holding it, in bytes."""
    return ITEM_BYTES + len(data)


def _send(send: Callable[[bytes], object], data: bytes) -> None:
    with suppress(OSError):  # lost, as datagrams are: a full buffer, nobody there, a client that was forgotten
        send(data)
