"""Who is at the other end of a connection, as far as the connection itself proves it.

ASGI has no place for it: the connection's task puts it into a context variable, which the tasks of its requests inherit.
"""

from __future__ import annotations

import socket
import struct
from contextvars import ContextVar
from typing import Final

import msgspec
import trio


class Peer(msgspec.Struct, frozen=True):
    """certificate: DER of the client certificate that TLS has checked. uid: of the process behind a unix socket."""

    address: str = ""
    certificate: bytes | None = None
    uid: int | None = None


NOBODY: Final = Peer()
PEER: Final[ContextVar[Peer]] = ContextVar("PEER", default=NOBODY)

_UCRED: Final = struct.Struct("3i")


def uid_of(sock: trio.socket.SocketType) -> int | None:
    """Of the process that connected to this unix socket, from the kernel; None where the platform does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
