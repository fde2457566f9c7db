"""Loss on sockets that the embedding program names: a filter of four instructions on each, which takes no privilege."""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import socket
import struct
import sys
import threading
import weakref
from collections.abc import Collection, Iterable
from typing import Final, Protocol

from meshkit_fastprobe.chaos.network.endpoints import Endpoint
from meshkit_fastprobe.errors import FastprobeError

SO_ATTACH_FILTER: Final = 26  # and, asked for, the filter that is there
SO_DETACH_FILTER: Final = 27
SO_MEMINFO: Final = 55
MEMINFO_BYTES: Final = 36  # nine counters, the last of packets dropped
_TYPES: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
MAX_INSTRUCTIONS: Final = 4096  # BPF_MAXINSNS
_UNHURT: Final = frozenset({errno.ENOENT, errno.EBADF, errno.ENOTSOCK})  # it has no filter, or is no more

_instruction = struct.Struct("=HBBI")
_LOAD, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x35, 0x06
_RANDOM: Final = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM


class HasFileno(Protocol):
    """A socket of the standard library, of trio, or anything else that knows its descriptor."""

    def fileno(self) -> int: ...


class SocketGroupError(FastprobeError):
    """A group could not be armed, or sockets of it could not be rid of their filter."""


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

    A filter is of the socket, and outlives the object that was added: TLS takes the descriptor out of what it wraps, dup() has
    another. So each socket that is hurt is held by a descriptor of our own until its filter is gone. That keeps the connection
    open, too: call let_go() every second or so.

    >>> group = SocketGroup("orders")
    >>> group.add(sock)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._sockets: weakref.WeakSet[HasFileno] = weakref.WeakSet()
        self._hurt: dict[weakref.ref[HasFileno], socket.socket] = {}  # no more than were added; the value is our own
        self._program: bytes | None = None  # for those that join
        self._mark = ""
        self._dropped_before = 0
        self._lock = threading.Lock()  # sockets are opened in any thread

    def __len__(self) -> int:
        with self._lock:
            return len(self._open())

    @property
    def armed(self) -> str:
        """The mark it is armed with; empty: the kernel has taken the filter of each socket that was hurt."""
        return self._mark

    def add(self, sock: HasFileno) -> None:
        """SocketGroupError, and OSError of the kernel: only while armed, and then it is not in the group."""
        with self._lock:
            if self._program is not None and weakref.ref(sock) not in self._hurt:
                # What it wraps may have been hurt until now, and pass for a filter of its own. If that stays, let_go() tells.
                self._calm(self._given_up())
                self._attach(sock, self._program)
            self._sockets.add(sock)

    def discard(self, sock: HasFileno) -> None:
        """Out of the group, and unhurt; SocketGroupError when its filter cannot be taken, and disarm() has to try again."""
        with self._lock:
            self._sockets.discard(sock)
            self._must_calm({weakref.ref(sock)} & self._hurt.keys())

    def arm(self, ratio: float, mark: str) -> int:
        """How many sockets are hurt now: all of them, or SocketGroupError and none."""
        with self._lock:
            if self._mark:
                raise SocketGroupError(f"the sockets of {self.name!r} are hurt already")
            code = program(ratio)
            self._mark = mark
            try:
                for sock in self._open():
                    self._attach(sock, code)
            except BaseException as error:
                self._calm(list(self._hurt))
                if not self._hurt:
                    self._mark = ""
                if isinstance(error, OSError):
                    raise SocketGroupError(f"a socket of {self.name!r} takes no filter: {error.strerror}") from error
                raise
            self._dropped_before = self._dropped()
            self._program = code
            return len(self._hurt)

    def let_go(self) -> None:
        """Of the sockets that their owners have closed, or handed to another object: unhurt. SocketGroupError as disarm()."""
        with self._lock:
            self._must_calm(self._given_up())

    def disarm(self, mark: str) -> None:
        """Calm when nothing is armed, or somebody else armed it.

        SocketGroupError when a filter could not be taken: it stays armed for these, and none that joins is hurt any more.
        """
        with self._lock:
            if mark and self._mark == mark:
                self._program = None
                self._must_calm(list(self._hurt))
                self._mark = ""

    def dropped(self) -> int:
        """Packets that the sockets which are hurt have dropped since arm(); those dropped for want of room among them."""
        with self._lock:
            return max(0, self._dropped() - self._dropped_before)

    def strangers(self, targets: Collection[Endpoint], protocol: str) -> int:
        """How many of those open are of another protocol (but "any"), or have a peer that is none of the targets.

        One that has no peer, as of UDP that does not connect, may talk to whomever it likes, and is taken at its owner's word.
        """
        with self._lock:
            sockets = self._open()
        return sum(1 for sock in sockets if not _fits(sock, targets, protocol))

    # -- with the lock held ------------------------------------------------------------------------------------------------

    def _open(self) -> list[HasFileno]:
        return [sock for sock in self._sockets if sock.fileno() >= 0]

    def _attach(self, sock: HasFileno, code: bytes) -> None:
        copy = _copy(sock)
        try:
            _check(copy)
            _attach(copy, code)
        except BaseException:
            copy.close()
            raise
        self._hurt[weakref.ref(sock)] = copy

    def _given_up(self) -> list[weakref.ref[HasFileno]]:
        """Whose object is gone, or has no descriptor any more."""
        return [ref for ref in self._hurt if (sock := ref()) is None or sock.fileno() < 0]

    def _calm(self, refs: Iterable[weakref.ref[HasFileno]]) -> OSError | None:
        """Take their filters, and let go of them; why not, when some would not: these are held on to."""
        failed = None
        for ref in refs:
            try:
                _detach(self._hurt[ref])
            except OSError as error:
                failed = error
            else:
                self._hurt.pop(ref).close()
        return failed

    def _must_calm(self, refs: Iterable[weakref.ref[HasFileno]]) -> None:
        failed = self._calm(refs)
        if failed is not None:
            raise SocketGroupError(f"a socket of {self.name!r} does not let go of its filter: {failed.strerror}") from failed

    def _dropped(self) -> int:
        return sum(map(_dropped, self._hurt.values()))


def _fits(sock: HasFileno, targets: Collection[Endpoint], protocol: str) -> bool:
    try:
        with _copy(sock) as borrowed:
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


def _copy(sock: HasFileno) -> socket.socket:
    """The same socket by another descriptor, which no child inherits: its owner may close theirs meanwhile."""
    number = os.dup(sock.fileno())
    try:
        return socket.socket(fileno=number)
    except BaseException:  # it is no socket
        os.close(number)
        raise


def _attach(sock: socket.socket, code: bytes) -> None:
    instructions = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(code) // _instruction.size, ctypes.addressof(instructions))
    )


def _detach(sock: socket.socket) -> None:
    """OSError when the filter stays, as under SO_LOCK_FILTER. Takes no descriptor: a process may have none left."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    except OSError as error:
        if error.errno not in _UNHURT:
            raise


def _dropped(sock: socket.socket) -> int:
    try:
        counts = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO_BYTES)
    except OSError:  # before Linux 4.12
        return 0
    return int.from_bytes(counts[-4:], sys.byteorder)


def _check(sock: socket.socket) -> None:
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise SocketGroupError("it listens: each connection that it accepts would keep the filter for good; add these instead")
    # Not by socket.getsockopt(): the kernel takes this length for a number of instructions, and would write past its buffer.
    room = ctypes.create_string_buffer(MAX_INSTRUCTIONS * _instruction.size)
    length = ctypes.c_uint(MAX_INSTRUCTIONS)
    failed = ctypes.CDLL(None).getsockopt(sock.fileno(), socket.SOL_SOCKET, SO_ATTACH_FILTER, room, ctypes.byref(length))
    if failed or length.value:
        raise SocketGroupError("it has a filter of its own, which ours would displace")
