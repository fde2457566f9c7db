"""HTTP/1.1 on the task lane: what http.c does in the engine, with the engine's own parser."""

from __future__ import annotations

import socket
from typing import Final

import msgspec
import trio

from meshkit_fastprobe._native.http1 import Parser
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import OUR_LIMITS, AsyncTarget, OurLimit
from meshkit_fastprobe.probes.dialing import NOT_CONNECTED_IN_TIME, UNREACHABLE, Address, connect
from meshkit_fastprobe.probes.http_judge import Broken, Judge, Wish
from meshkit_fastprobe.probes.keeping import Kept
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.via import ANY_WAY, Via

READ_BYTES: Final = 16 * 1024
NOT_ANSWERED_IN_TIME: Final = Outcome(Result.TIMEOUT, Reason.RESPONSE_TIMEOUT)


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """A request, and what is expected of its answer."""

    request: bytes
    head: bool
    wish: Wish
    keep_alive: bool
    idle_s: float


class Answer:
    """One answer, judged while it arrives."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._parser = Parser(head=exchange.head)
        self._judge = Judge(exchange.wish)
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = False
        self.reusable = False

    @property
    def status(self) -> int:
        return self._parser.status

    @property
    def body_bytes(self) -> int:
        return self._judge.body_bytes

    def take(self, data: bytes) -> Outcome | None:
        """The verdict, once these bytes decide it."""
        self.begun = True
        for event in self._parser.feed(data):
            verdict = self._take(event)
            if verdict is not None:
                # Bytes after the answer belong to no request of ours: such a connection is not trusted again.
                self.reusable = self.reusable and not self._parser.left
                return verdict
        return None

    def end(self) -> Outcome | None:
        """The verdict when the peer has closed; None when the answer was cut."""
        done = self.begun and self._parser.eof()[0] == "done"
        return self._judge.whole() if done else None

    def _take(self, event: tuple[object, ...]) -> Outcome | None:
        match event:
            case ("status", int(status)):
                self._judge.status = status
            case ("header", bytes(name), bytes(value)):
                self.headers.append((name, value))
            case ("headers_end",):
                return self._judge.headers(self._parser.status, self.headers)
            case ("body", bytes(piece)):
                return self._judge.body(piece)
            case ("done", bool(keep_alive)):
                verdict = self._judge.whole()
                self.reusable = keep_alive and self._exchange.keep_alive and verdict.result is Result.OK
                return verdict
            case ("too_large",):
                return self._judge.fail(Reason.HTTP_HEADER_LIMIT)
            case _:
                return self._judge.fail(Reason.HTTP_PROTOCOL)
        return None


class HttpTarget:
    """Send the request, judge one answer; keep the connection for the next run where that was asked for."""

    def __init__(self, host: str, port: int, exchange: Exchange, via: Via = ANY_WAY) -> None:
        self._via = via
        self._exchange = exchange
        self._kept: Kept[socket.socket] = Kept(exchange.idle_s)
        self._connected = False
        self.seen = Seen()
        try:
            self._address: Address | None = Address(host, port)
        except OSError:  # of an address that was checked: the interface it is scoped to is gone
            self._address = None

    @property
    def timed_out(self) -> Outcome:
        return NOT_ANSWERED_IN_TIME if self._connected else NOT_CONNECTED_IN_TIME

    async def check(self) -> Outcome | None:
        self.seen.begin()
        if self._address is None:
            return UNREACHABLE
        sock = self._kept.take()
        if sock is not None and _still_quiet(sock):
            answer = Answer(self._exchange)
            self.seen.kept(sock)
            try:
                return await self._ask(sock, answer)
            except Broken as broken:
                if answer.begun:
                    return broken.outcome
                # Servers close idle connections when they like: once more, on a fresh one.
        elif sock is not None:
            sock.close()
        return await self._ask_afresh(self._address)

    def close(self) -> None:
        self._kept.close()

    async def _ask_afresh(self, address: Address) -> Outcome:
        self._connected = False
        connected = await connect(address, self._via)
        if isinstance(connected, Outcome):
            # A reset that answers the SYN is "refused": any other came after the handshake, sooner than we looked.
            after_handshake = connected.reason is Reason.CONNECT_RESET
            return msgspec.structs.replace(connected, reason=Reason.RESPONSE_RESET) if after_handshake else connected
        self.seen.connected(connected)
        try:
            return await self._ask(connected, Answer(self._exchange))
        except Broken as broken:
            return broken.outcome

    async def _ask(self, sock: socket.socket, answer: Answer) -> Outcome:
        self._connected = True
        keep = False
        try:
            await _send(sock, self._exchange.request)
            while True:
                data = await _receive(sock)
                if data:
                    self.seen.heard()
                verdict = answer.take(data) if data else answer.end()
                if verdict is not None:
                    break
                if not data:
                    raise Broken(Reason.RESPONSE_CLOSED)
            keep = answer.reusable and bool(data)
            return verdict
        finally:
            self.seen.answered(answer.status, answer.headers)
            self.seen.body_bytes = answer.body_bytes
            if keep:
                self._kept.put(sock)
            else:
                sock.close()


def _still_quiet(sock: socket.socket) -> bool:
    """A kept connection that has neither ended nor said what nobody asked for."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


async def _send(sock: socket.socket, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[sock.send(rest) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
        except OSError as error:
            raise _broken(error) from None


async def _receive(sock: socket.socket) -> bytes:
    """Some bytes, or none when the peer has closed. Waits first: nothing is there so soon after the request."""
    while True:
        await trio.lowlevel.wait_readable(sock)
        try:
            return sock.recv(READ_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:
            raise _broken(error) from None


def _broken(error: OSError) -> Broken | OurLimit:
    if error.errno in OUR_LIMITS:
        return OurLimit(OUR_LIMITS[error.errno])
    return Broken(Reason.RESPONSE_RESET, error.errno or 0)


_: type[AsyncTarget] = HttpTarget
