"""Connections of the task lane: opened without blocking, and failures told as the native lane tells them."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import Any, Final

import trio

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import OUR_LIMITS, OurLimit
from meshkit_fastprobe.probes.via import ANY_WAY, Via

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""struct linger. A closed check leaves no TIME_WAIT behind, which would end the ephemeral ports at 28,000 checks a minute."""

_PENDING: Final = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)}
_TARGETS: Final = {
    errno.ECONNREFUSED: Reason.CONNECT_REFUSED,
    errno.ETIMEDOUT: Reason.CONNECT_TIMEOUT,
    errno.ECONNRESET: Reason.CONNECT_RESET,
    errno.EPIPE: Reason.CONNECT_RESET,
    errno.EHOSTUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ENETUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ENETDOWN: Reason.CONNECT_UNREACHABLE,
    errno.EHOSTDOWN: Reason.CONNECT_UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.CONNECT_UNREACHABLE,
}

_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
_NO_PORT: Final = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24 if sys.platform == "linux" else None)
"""The port is chosen at connect(), when the peer is known. Python names the option from 3.12 on."""

UNREACHABLE: Final = Outcome(Result.FAIL, Reason.CONNECT_UNREACHABLE)
NOT_CONNECTED_IN_TIME: Final = Outcome(Result.TIMEOUT, Reason.CONNECT_TIMEOUT)


class Address:
    """A literal IP address with its port, or the path of a unix socket ("@name" for an abstract one), as connect() takes it."""

    __slots__ = ("family", "sockaddr")

    def __init__(self, host: str, port: int) -> None:
        self.family: int
        self.sockaddr: Any
        if host.startswith(("/", "@")):
            self.family = getattr(socket, "AF_UNIX", -1)  # -1: the kernel will say that it knows no such family
            self.sockaddr = "\0" + host[1:] if host.startswith("@") else host
        elif ":" not in host:
            self.family, self.sockaddr = socket.AF_INET, (host, port)
        else:  # a scope is a name of this host: getaddrinfo knows it, and asks nobody
            self.family = socket.AF_INET6
            self.sockaddr = socket.getaddrinfo(host, port, self.family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)[0][4]


async def connect(address: Address, via: Via = ANY_WAY, *, half: bool = False) -> socket.socket | Outcome:
    """A connected socket that does not block, or why the target has none for us. OurLimit when that is our own fault.

    half: where the kernel can, the handshake's last acknowledgement waits for data, so that a close in time comes before it.
    """
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        await trio.lowlevel.checkpoint()
        return refused(error.errno or 0, address)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        refusal = leave_by(sock, via)
        if refusal is not None:
            sock.close()
            await trio.lowlevel.checkpoint()
            return refusal
        if half and _QUICKACK is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 0)
        error_number = sock.connect_ex(address.sockaddr)
        # A unix socket connects at once or not at all: there EAGAIN is a full backlog, and no word would ever follow.
        if error_number in _PENDING and address.family in {socket.AF_INET, socket.AF_INET6}:
            await trio.lowlevel.wait_writable(sock)
            error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        else:
            await trio.lowlevel.checkpoint()
        if error_number:
            sock.close()
            return refused(error_number, address)
    except BaseException:
        sock.close()
        raise
    return sock


def open_udp(address: Address, via: Via = ANY_WAY) -> socket.socket | Outcome:
    """A datagram socket that knows its peer, and takes nobody else's word; or why there is none, as of `connect`."""
    try:
        sock = socket.socket(address.family, socket.SOCK_DGRAM)
    except OSError as error:
        return refused(error.errno or 0, address)
    sock.setblocking(False)
    try:
        refusal = leave_by(sock, via)
        error_number = 0 if refusal else sock.connect_ex(address.sockaddr)
    except BaseException:
        sock.close()
        raise
    if refusal is None and not error_number:
        return sock
    sock.close()
    return refusal or refused(error_number, address)


async def send_datagram(sock: trio.socket.SocketType, data: bytes) -> None:
    """OSError with what ICMP said to an earlier one, OurLimit where this host's firewall lets none out."""
    try:
        await sock.send(data)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
        raise OurLimit(Reason.PERMISSION) from None


def leave_by(sock: socket.socket, via: Via) -> Outcome | None:
    """Make a fresh socket leave this way; an outcome when this process may not. OurLimit when the host has no such source."""
    if via == ANY_WAY:
        return None
    v6 = sock.family == socket.AF_INET6
    try:
        if via.mark:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, via.mark)
        if via.interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, via.interface.encode())
        if via.tos:
            level, option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if v6 else (socket.IPPROTO_IP, socket.IP_TOS)
            sock.setsockopt(level, option, via.tos)
        if via.source:
            if _NO_PORT is not None:
                sock.setsockopt(socket.IPPROTO_IP, _NO_PORT, 1)
            sock.bind(Address(via.source, 0).sockaddr)
    except AttributeError:  # this platform has no such option
        return Outcome(Result.ERROR, Reason.UNSUPPORTED, detail=errno.ENOPROTOOPT)
    except OSError as error:
        if error.errno in {errno.EADDRNOTAVAIL, errno.ENODEV} or isinstance(error, socket.gaierror):
            raise OurLimit(Reason.SOURCE) from None
        return Outcome(Result.ERROR, Reason.UNSUPPORTED, detail=error.errno or 0)
    return None


def refused(error_number: int, address: Address) -> Outcome:
    if error_number in OUR_LIMITS:
        raise OurLimit(OUR_LIMITS[error_number])
    inet = address.family in {socket.AF_INET, socket.AF_INET6}
    if inet and (error_number == errno.EAGAIN or (error_number == errno.EADDRNOTAVAIL and _has_source_address(address))):
        raise OurLimit(Reason.PORTS)
    if error_number in {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}:
        return Outcome(Result.ERROR, Reason.UNSUPPORTED, detail=error_number)
    reason = _TARGETS.get(error_number, Reason.CONNECT_FAILED)
    result = Result.TIMEOUT if reason is Reason.CONNECT_TIMEOUT else Result.FAIL
    return Outcome(result, reason, detail=error_number)


def _has_source_address(address: Address) -> bool:
    """EADDRNOTAVAIL means that all ports are taken, or that nothing of ours reaches the target: a datagram meets only that."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
            return sock.connect_ex(address.sockaddr) != errno.EADDRNOTAVAIL
    except OSError:
        return True
