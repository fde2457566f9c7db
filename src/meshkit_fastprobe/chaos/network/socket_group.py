"""Loss on sockets that the embedding program names: a filter of four instructions on each, which takes no privilege."""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import socket
import struct
import threading
import weakref
from collections.abc import Collection, Iterator
from typing import Final, Protocol

from meshkit_fastprobe.chaos.network.endpoints import Endpoint
from meshkit_fastprobe.errors import FastprobeError

SO_ATTACH_FILTER: Final = 26  # and, asked for, the filter that is there
SO_DETACH_FILTER: Final = 27
SO_MEMINFO: Final = 55
MEMINFO_BYTES: Final = 36  # nine counters, the last of packets dropped
_TYPES: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
MAX_INSTRUCTIONS: Final = 4096  # BPF_MAXINSNS

_instruction = struct.Struct("=HBBI")
_LOAD, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x35, 0x06
_RANDOM: Final = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM


class HasFileno(Protocol):
    """A socket of the standard library, of trio, or anything else that knows its descriptor."""

    def fileno(self) -> int: ...


class SocketGroupError(FastprobeError):
    """A group could not be armed; none of its sockets is."""


def program(ratio: float) -> bytes:
    """Drop that share of what arrives, by lot."""
    limit = round(ratio * 2**32)
    if limit >= 2**32:
        return _instruction.pack(_RETURN, 0, 0, 0)
    return b"".join(
        (
            _instruction.pack(_LOAD, 0, 0, _RANDOM),
            _instruction.pack(_JUMP_IF_AT_LEAST, 1, 0, limit),
            _instruction.pack(_RETURN, 0, 0, 0),
            _instruction.pack(_RETURN, 0, 0, 0xFFFFFFFF),
        )
    )


class SocketGroup:
    """Sockets that one experiment may hurt together. It keeps none alive; those that join while it is armed are hurt at once.

    >>> group = SocketGroup("orders")
    >>> group.add(sock)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._sockets: weakref.WeakSet[HasFileno] = weakref.WeakSet()
        self._program: bytes | None = None
        self._mark = ""
        self._dropped_before = 0
        self._lock = threading.Lock()  # sockets are opened in any thread

    def __len__(self) -> int:
        return sum(1 for _ in self._open())

    @property
    def armed(self) -> str:
        """The mark it is armed with; empty: it is not."""
        return self._mark if self._program is not None else ""

    def add(self, sock: HasFileno) -> None:
        """SocketGroupError, and OSError of the kernel: only while armed, and then it is not in the group."""
        with self._lock:
            if self._program is not None:
                with _borrowed(sock) as borrowed:
                    _check(borrowed)
                    _attach(borrowed, self._program)
            self._sockets.add(sock)

    def discard(self, sock: HasFileno) -> None:
        """Out of the group, and unhurt."""
        with self._lock:
            self._sockets.discard(sock)
            if self._program is not None:
                _detach(sock)

    def arm(self, ratio: float, mark: str) -> int:
        """How many sockets are hurt now: all of them, or SocketGroupError and none."""
        with self._lock:
            if self._program is not None:
                raise SocketGroupError(f"the sockets of {self.name!r} are hurt already")
            code = program(ratio)
            done: list[HasFileno] = []
            try:
                for sock in self._open():
                    with _borrowed(sock) as borrowed:
                        _check(borrowed)
                        _attach(borrowed, code)
                    done.append(sock)
            except BaseException as error:
                for sock in done:
                    _detach(sock)
                if isinstance(error, OSError):
                    raise SocketGroupError(f"a socket of {self.name!r} takes no filter: {error.strerror}") from error
                raise
            self._dropped_before = self._dropped()
            self._program, self._mark = code, mark
            return len(done)

    def disarm(self, mark: str) -> None:
        """Calm when nothing is armed, or somebody else armed it."""
        with self._lock:
            if self._program is not None and self._mark == mark:
                for sock in self._open():
                    _detach(sock)
                self._program = None

    def dropped(self) -> int:
        """Packets that the sockets which are open have dropped since arm(); those dropped for want of room among them."""
        with self._lock:
            return max(0, self._dropped() - self._dropped_before)

    def strangers(self, targets: Collection[Endpoint], protocol: str) -> int:
        """How many of those open are of another protocol (but "any"), or have a peer that is none of the targets.

        One that has no peer, as of UDP that does not connect, may talk to whomever it likes, and is taken at its owner's word.
        """
        return sum(1 for sock in self._open() if not _fits(sock, targets, protocol))

    def _dropped(self) -> int:
        total = 0
        for sock in self._open():
            with contextlib.suppress(OSError), _borrowed(sock) as borrowed:
                total += struct.unpack_from("=I", borrowed.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO_BYTES), 32)[0]
        return total

    def _open(self) -> Iterator[HasFileno]:
        return (sock for sock in list(self._sockets) if sock.fileno() >= 0)


def _fits(sock: HasFileno, targets: Collection[Endpoint], protocol: str) -> bool:
    try:
        with _borrowed(sock) as borrowed:
            if protocol != "any" and borrowed.type != _TYPES.get(protocol):
                return False
            peer = borrowed.getpeername()
    except OSError:  # no peer, or closed meanwhile
        return True
    if borrowed.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    address = ipaddress.ip_address(peer[0].partition("%")[0])
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(target.touches(Endpoint(ipaddress.ip_network(plain), peer[1])) for target in targets)


@contextlib.contextmanager
def _borrowed(sock: HasFileno) -> Iterator[socket.socket]:
    """The same socket by another descriptor: its owner may close theirs meanwhile."""
    with socket.socket(fileno=os.dup(sock.fileno())) as borrowed:
        yield borrowed


def _attach(sock: socket.socket, code: bytes) -> None:
    instructions = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(code) // _instruction.size, ctypes.addressof(instructions))
    )


def _detach(sock: HasFileno) -> None:
    """A socket that is closed, or has no filter, is as it should be."""
    with contextlib.suppress(OSError), _borrowed(sock) as borrowed:
        borrowed.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def _check(sock: socket.socket) -> None:
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise SocketGroupError("it listens: each connection that it accepts would keep the filter for good; add these instead")
    # Not by socket.getsockopt(): the kernel takes this length for a number of instructions, and would write past its buffer.
    room = ctypes.create_string_buffer(MAX_INSTRUCTIONS * _instruction.size)
    length = ctypes.c_uint(MAX_INSTRUCTIONS)
    failed = ctypes.CDLL(None).getsockopt(sock.fileno(), socket.SOL_SOCKET, SO_ATTACH_FILTER, room, ctypes.byref(length))
    if failed or length.value:
        raise SocketGroupError("it has a filter of its own, which ours would displace")
