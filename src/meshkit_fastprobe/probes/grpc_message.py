"""The two messages of grpc.health.v1 and the frame around them: all of protobuf that a health check needs."""

from __future__ import annotations

from typing import Final

PREFIX_BYTES: Final = 5
MAX_MESSAGE_BYTES: Final = 4096
STATUS_NAMES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
CODES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
NOT_FOUND: Final = 5

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MessageError(Exception):
    """What came is no such message."""


def request(service: str) -> bytes:
    """A framed HealthCheckRequest."""
    name = service.encode()
    message = b"\n" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4) + message


class Frames:
    """Messages out of bytes as they arrive."""

    def __init__(self) -> None:
        self._data = b""

    def take(self, data: bytes) -> bytes | None:
        """The first message that is whole; what follows it is not read. MessageError for one that cannot be ours."""
        self._data += data
        if len(self._data) < PREFIX_BYTES:
            return None
        size = int.from_bytes(self._data[1:PREFIX_BYTES])
        if self._data[0]:
            raise MessageError("the message is compressed, which nobody asked for")
        if size > MAX_MESSAGE_BYTES:
            raise MessageError(f"a message of {size} bytes; the bound is {MAX_MESSAGE_BYTES}")
        if len(self._data) < PREFIX_BYTES + size:
            return None
        return self._data[PREFIX_BYTES : PREFIX_BYTES + size]


def status(message: bytes) -> int:
    """The status in a HealthCheckResponse; fields that are not known are passed over, as protobuf wants it."""
    found, at = 0, 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _read_varint(message, at)
            found = value if field == 1 else found
            continue
        if wire == _BYTES:
            size, at = _read_varint(message, at)
        elif wire in {_FIXED32, _FIXED64}:
            size = 4 if wire == _FIXED32 else 8
        else:
            raise MessageError(f"wire type {wire}")
        at += size
    if at > len(message):
        raise MessageError("the message is cut short")
    return found


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise MessageError("the message is cut short")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise MessageError("a number of more than ten bytes")
