"""ICMP on the task lane: what echoes.c does in the engine, with the same judge; a socket a run instead of a shared one."""

from __future__ import annotations

import errno
import secrets
import socket
import sys
from typing import ClassVar, Final

import trio

from meshkit_fastprobe._native.datagram import Echo
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import AsyncTarget, OurLimit
from meshkit_fastprobe.probes.dialing import UNREACHABLE, Address, leave_by, refused
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.via import ANY_WAY, Via

MAX_PACKET: Final = 65_535
_ICMPV6: Final = getattr(socket, "IPPROTO_ICMPV6", 58)
_FORBIDDEN: Final = {errno.EPERM, errno.EACCES}
_PING_WITH_HEADER: Final = sys.platform == "darwin"
"""Whether a ping socket hands out the IP header too."""


class IcmpTarget:
    """One echo request, and the first answer that is to it."""

    __slots__ = ("_address", "_payload_bytes", "_via", "seen", "strays")
    timed_out: ClassVar[Outcome] = Outcome(Result.TIMEOUT, Reason.ICMP_TIMEOUT)

    def __init__(self, host: str, payload_bytes: int, via: Via = ANY_WAY) -> None:
        self._payload_bytes = payload_bytes
        self.strays = 0
        self._via = via
        self.seen = Seen()
        try:
            self._address: Address | None = Address(host, 0)
        except OSError:  # of an address that was checked: the interface it is scoped to is gone
            self._address = None

    async def check(self) -> Outcome | None:
        self.strays = 0
        self.seen.begin()
        if self._address is None:
            return UNREACHABLE
        opened = _open(self._address, self._via)
        if isinstance(opened, Outcome):
            await trio.lowlevel.checkpoint()
            return opened
        with trio.socket.from_stdlib_socket(opened) as sock:
            return await self._ask(sock, self._address)

    def close(self) -> None:
        """Nothing is kept."""

    async def _ask(self, sock: trio.socket.SocketType, address: Address) -> Outcome | None:
        raw, v6 = sock.type == socket.SOCK_RAW, address.family == socket.AF_INET6
        echo = Echo(v6=v6, number=secrets.randbits(16), nonce=secrets.randbits(32), payload=self._payload_bytes)
        try:
            await sock.sendto(echo.request(), address.sockaddr)
        except OSError as error:
            if error.errno in _FORBIDDEN:  # this host's firewall, or a broadcast address
                raise OurLimit(Reason.PERMISSION) from None
            if error.errno == errno.EMSGSIZE:
                return Outcome(Result.FAIL, Reason.ICMP_TOO_BIG)
            return refused(error.errno or 0, address)
        with_header = not v6 and (raw or _PING_WITH_HEADER)
        while True:
            packet, sender = await sock.recvfrom(MAX_PACKET)
            answer = echo.read(packet, with_header=with_header, own_id=raw)
            if answer is None:  # a raw socket gets everybody's: no word about anybody
                continue
            reason, detail, about = answer
            if _host(address, about or sender[0]) != _host(address, address.sockaddr[0]):
                self.strays += 1
                continue
            self.seen.heard()
            return None if reason == Reason.NONE else Outcome(Result.FAIL, Reason(reason), detail=detail)


def _open(address: Address, via: Via) -> socket.socket | Outcome:
    """A raw socket where this process may have one, since it is told of unreachable targets; else a ping socket."""
    protocol = _ICMPV6 if address.family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:
        try:
            sock = socket.socket(address.family, socket.SOCK_RAW, protocol)
        except OSError as error:
            if error.errno not in _FORBIDDEN:
                raise
            sock = socket.socket(address.family, socket.SOCK_DGRAM, protocol)
    except OSError as error:
        if error.errno in _FORBIDDEN:
            raise OurLimit(Reason.PERMISSION) from None
        return refused(error.errno or 0, address)
    sock.setblocking(False)
    try:
        refusal = leave_by(sock, via)
    except BaseException:
        sock.close()
        raise
    if refusal is None:
        return sock
    sock.close()
    return refusal


def _host(address: Address, host: str | bytes) -> bytes:
    return host if isinstance(host, bytes) else socket.inet_pton(address.family, host.partition("%")[0])


_: type[AsyncTarget] = IcmpTarget
