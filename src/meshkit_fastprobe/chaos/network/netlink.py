"""Netfilter's netlink socket: attributes in and out, and batches that the kernel takes whole or not at all.

No program is between us and the kernel: what is asked for is bytes of checked numbers and names, errors are errnos, and the
socket that made a table is ours, so that the kernel takes the table away when we die.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

NETLINK_NETFILTER: Final = 12
ANSWER_S: Final = 2.0
"""The kernel works on a request before send() returns; only its answer to a dump may take a little."""
RECEIVE_BYTES: Final = 64 * 1024
MAX_ANSWERS: Final = 4096

SUBSYSTEM_NFTABLES: Final = 10
BATCH_BEGIN: Final = 0x10
BATCH_END: Final = 0x11
ERROR: Final = 2
DONE: Final = 3

REQUEST: Final = 0x1
ACK: Final = 0x4
EXCLUSIVE: Final = 0x200
DUMP: Final = 0x300
CREATE: Final = 0x400
APPEND: Final = 0x800

NESTED: Final = 0x8000
TYPE_MASK: Final = 0x3FFF

_header = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_family = struct.Struct("!BBH")  # family, version, resource; the last in network order
_attribute = struct.Struct("=HH")


class Message(NamedTuple):
    """A request to nf_tables: its number, family, flags beyond REQUEST, and attributes."""

    number: int
    family: int
    flags: int
    attributes: bytes


class KernelRefusedError(OSError):
    """The kernel refused a batch, all of it. at: which message was the first it did not like, from 0; -1: the batch as such."""

    def __init__(self, number: int, at: int) -> None:
        super().__init__(number, os.strerror(number))
        self.at = at


def attribute(number: int, value: bytes) -> bytes:
    """Padded to four bytes."""
    return _attribute.pack(_attribute.size + len(value), number) + value + bytes(-len(value) % 4)


def nested(number: int, *parts: bytes) -> bytes:
    return attribute(number | NESTED, b"".join(parts))


def text(number: int, value: str) -> bytes:
    return attribute(number, value.encode("ascii") + b"\0")


def be16(number: int, value: int) -> bytes:
    return attribute(number, struct.pack("!H", value))


def be32(number: int, value: int) -> bytes:
    return attribute(number, struct.pack("!I", value))


def be64(number: int, value: int) -> bytes:
    return attribute(number, struct.pack("!Q", value))


def pairs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in there, in order; a torn last one is dropped."""
    at = 0
    while at + _attribute.size <= len(data):
        length, number = _attribute.unpack_from(data, at)
        if length < _attribute.size:
            return
        yield number & TYPE_MASK, data[at + _attribute.size : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    return dict(pairs(data))


class Netfilter:
    """One socket. Tables made through it with the owner flag live as long as it is open, in whichever process."""

    def __init__(self) -> None:
        if not hasattr(socket, "AF_NETLINK"):
            raise OSError(errno.EPROTONOSUPPORT, "netlink is Linux's")
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        try:
            self._socket.bind((0, 0))
            self._socket.settimeout(ANSWER_S)
        except BaseException:
            self._socket.close()
            raise
        self._sequence = 0
        self._lock = threading.Lock()  # a halt does not wait until a renewal is over

    @property
    def port(self) -> int:
        """What the kernel calls the owner of our tables."""
        address: tuple[int, int] = self._socket.getsockname()
        return address[0]

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Netfilter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def commit(self, messages: Sequence[Message]) -> None:
        """All of it at once, or KernelRefusedError and nothing."""
        with self._lock:
            self._commit(messages)

    def _commit(self, messages: Sequence[Message]) -> None:
        first = self._sequence + 1
        subsystem = _family.pack(0, 0, SUBSYSTEM_NFTABLES)
        data = [self._packed(BATCH_BEGIN, REQUEST, subsystem)]
        data += [
            self._packed(
                (SUBSYSTEM_NFTABLES << 8) | message.number,
                REQUEST | message.flags | (ACK if message is messages[-1] else 0),
                _family.pack(message.family, 0, 0) + message.attributes,
            )
            for message in messages
        ]
        last = self._sequence
        data.append(self._packed(BATCH_END, REQUEST, subsystem))
        self._socket.send(b"".join(data))
        errors: list[tuple[int, int]] = []
        for sequence, number, body in self._answers():
            if number != ERROR or not first <= sequence <= last + 1:
                continue  # of a batch that ran into its timeout
            failed = -struct.unpack_from("=i", body)[0]
            if failed:
                errors.append((sequence - first - 1, failed))
            if sequence in {first, last, last + 1}:  # the answer to the last message, or to the batch as such
                break
        if errors:
            at, failed = min(errors)
            raise KernelRefusedError(failed, at)

    def dump(self, message: Message) -> list[bytes]:
        """Attributes of everything that is there. OSError: the kernel would not say."""
        with self._lock:
            return self._dump(message)

    def _dump(self, message: Message) -> list[bytes]:
        number = (SUBSYSTEM_NFTABLES << 8) | message.number
        self._socket.send(
            self._packed(number, REQUEST | DUMP | message.flags, _family.pack(message.family, 0, 0) + message.attributes)
        )
        found = []
        for sequence, kind, body in self._answers():
            if sequence != self._sequence:
                continue
            if kind in {ERROR, DONE}:
                failed = -struct.unpack_from("=i", body)[0]
                if failed:
                    raise OSError(failed, os.strerror(failed))
                break
            found.append(body[_family.size :])
        return found

    def _packed(self, number: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        return _header.pack(_header.size + len(body), number, flags, self._sequence, 0) + body + bytes(-len(body) % 4)

    def _answers(self) -> Iterator[tuple[int, int, bytes]]:
        """Sequence, type and body of what the kernel says, until the caller has heard enough."""
        for _ in range(MAX_ANSWERS):
            data = self._socket.recv(RECEIVE_BYTES)
            at = 0
            while at + _header.size <= len(data):
                length, number, _, sequence, _ = _header.unpack_from(data, at)
                yield sequence, number, data[at + _header.size : at + length]
                at += (max(length, _header.size) + 3) & ~3
        raise TimeoutError("netlink: answers without an end")
