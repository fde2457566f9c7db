"""DNS on the task lane: what dns.c does in the engine, with the same judge."""

from __future__ import annotations

import secrets
from typing import ClassVar, Final

import trio

from meshkit_fastprobe._native.datagram import DnsPlan
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import OUR_LIMITS, AsyncTarget, OurLimit
from meshkit_fastprobe.probes.dialing import UNREACHABLE, Address, connect, open_udp, refused, send_datagram
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.via import ANY_WAY, Via

MAX_UDP_BYTES: Final = 4096
"""Without EDNS an answer has at most 512; a server that sends more is read all the same."""
_CUT, _JUDGED = 1, 2
_ASK_AGAIN: Final = Outcome(Result.ERROR, Reason.NONE)
"""The answer was cut short."""


class DnsTarget:
    """One question over UDP, and over TCP when the answer to that was cut short."""

    __slots__ = ("_address", "_plan", "_via", "seen", "strays")
    timed_out: ClassVar[Outcome] = Outcome(Result.TIMEOUT, Reason.DNS_TIMEOUT)

    def __init__(self, host: str, port: int, plan: DnsPlan, via: Via = ANY_WAY) -> None:
        self._plan = plan
        self.strays = 0
        self._via = via
        self.seen = Seen()
        try:
            self._address: Address | None = Address(host, port)
        except OSError:  # of an address that was checked: the interface it is scoped to is gone
            self._address = None

    async def check(self) -> Outcome | None:
        self.strays = 0
        self.seen.begin()
        if self._address is None:
            return UNREACHABLE
        message_id = secrets.randbits(16)
        outcome = await self._over_udp(self._address, message_id)
        return await self._over_tcp(self._address, message_id) if outcome is _ASK_AGAIN else outcome

    def close(self) -> None:
        """Nothing is kept."""

    async def _over_udp(self, address: Address, message_id: int) -> Outcome | None:
        """The first reply to the question. What else arrives is somebody's mistake or somebody's attack, and is passed over."""
        opened = open_udp(address, self._via)
        if isinstance(opened, Outcome):
            return opened
        with trio.socket.from_stdlib_socket(opened) as sock:
            self.seen.sends_from(sock)
            try:
                await send_datagram(sock, self._plan.query(message_id))
                while True:
                    reading, reason, detail = self._plan.read(message_id, await sock.recv(MAX_UDP_BYTES))
                    if reading == _CUT:
                        return _ASK_AGAIN
                    if reading == _JUDGED:
                        self.seen.heard()
                        return _outcome(reason, detail)
                    self.strays += 1
            except OSError as error:  # an ICMP message came back
                return refused(error.errno or 0, address)

    async def _over_tcp(self, address: Address, message_id: int) -> Outcome | None:
        connected = await connect(address, self._via)
        if isinstance(connected, Outcome):
            return connected
        self.seen.connected(connected)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(connected))
        async with stream:
            question = self._plan.query(message_id)
            try:
                await stream.send_all(len(question).to_bytes(2) + question)
                size = int.from_bytes(await _receive_exactly(stream, 2))
                self.seen.heard()
                answer = await _receive_exactly(stream, size)
            except EOFError:
                return Outcome(Result.FAIL, Reason.RESPONSE_CLOSED)
            except trio.BrokenResourceError as error:
                cause = error.__cause__
                if isinstance(cause, OSError) and cause.errno in OUR_LIMITS:
                    raise OurLimit(OUR_LIMITS[cause.errno]) from None
                return Outcome(Result.FAIL, Reason.RESPONSE_RESET)
        _, reason, detail = self._plan.read(message_id, answer, over_tcp=True)
        return _outcome(reason, detail)


def _outcome(reason: int, detail: int) -> Outcome | None:
    return None if reason == Reason.NONE else Outcome(Result.FAIL, Reason(reason), detail=detail)


async def _receive_exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


_: type[AsyncTarget] = DnsTarget
