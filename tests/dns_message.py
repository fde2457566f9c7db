"""DNS messages as values and as bytes: name servers of tests answer with it, and the reader in C is held against it.

Written for reading, from RFC 1035, apart from the reader in C; only the question and the answers are looked at.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final

import msgspec

from meshkit_fastprobe.probes.dns_wire import MAX_LABEL_BYTES, MAX_NAME_BYTES, RCODES, TYPES, encode_data, encode_name

IN: Final = 1
MAX_LABELS: Final = 127
MAX_MESSAGE_BYTES: Final = 65_535
HEADER_BYTES: Final = 12

RESPONSE: Final = 0x8000
TRUNCATED: Final = 0x0200
RECURSION_DESIRED: Final = 0x0100
_POINTER: Final = 0xC0

_plain = re.compile(rb"[A-Za-z0-9_*-]+")


class MessageError(ValueError):
    """Bytes that are no DNS message, or a value that cannot be one."""


class Question(msgspec.Struct, frozen=True, gc=False):
    name: str
    type: int
    group: int = IN  # RFC 1035 calls it the class

    def asks(self, other: Question) -> bool:
        """Whether the other is the same question: names in DNS have no case."""
        return (self.name.lower(), self.type, self.group) == (other.name.lower(), other.type, other.group)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One answer. `data` as a zone file writes it ("10 mail.example.org"), but TXT as plain text and unknown types in hex."""

    name: str
    type: int
    ttl: int
    data: str


class Message(msgspec.Struct, frozen=True):
    """A question with an empty or single-entry question section, and its answers."""

    id: int
    flags: int
    question: Question | None
    answers: tuple[Record, ...] = ()

    @property
    def response(self) -> bool:
        return bool(self.flags & RESPONSE)

    @property
    def truncated(self) -> bool:
        return bool(self.flags & TRUNCATED)

    @property
    def rcode(self) -> int:
        return self.flags & 0x000F


def query(message_id: int, question: Question) -> Message:
    """What a stub resolver asks."""
    return Message(message_id, RECURSION_DESIRED, question)


def reply(asked: Message, answers: tuple[Record, ...] = (), *, rcode: str = "NOERROR", flags: int = 0) -> Message:
    """What a server answers."""
    return Message(asked.id, RESPONSE | (asked.flags & RECURSION_DESIRED) | flags | RCODES[rcode], asked.question, answers)


def encode(message: Message) -> bytes:
    """The message as bytes, without compression. MessageError for what does not fit the format."""
    out = bytearray(
        struct.pack("!6H", message.id, message.flags, 0 if message.question is None else 1, len(message.answers), 0, 0)
    )
    if message.question is not None:
        out += encode_name(message.question.name) + struct.pack("!2H", message.question.type, message.question.group)
    for record in message.answers:
        data = encode_data(record.type, record.data)
        if len(data) > MAX_MESSAGE_BYTES:
            raise MessageError(f"the data of {record.name} has {len(data)} bytes")
        out += encode_name(record.name) + struct.pack("!2HIH", record.type, IN, record.ttl, len(data)) + data
    if len(out) > MAX_MESSAGE_BYTES:
        raise MessageError(f"a message of {len(out)} bytes")
    return bytes(out)


def decode(data: bytes) -> Message:
    """The message in these bytes. MessageError for anything that is not one, whatever it is."""
    if not HEADER_BYTES <= len(data) <= MAX_MESSAGE_BYTES:
        raise MessageError(f"{len(data)} bytes")
    message_id, flags, questions, answers, _, _ = struct.unpack_from("!6H", data)
    if questions > 1:
        raise MessageError(f"{questions} questions")
    at = HEADER_BYTES
    question = None
    if questions:
        question, at = decode_question(data)
    return Message(message_id, flags, question, decode_records(data, at, answers))


def decode_question(data: bytes) -> tuple[Question, int]:
    """The question behind the header, and where it ends."""
    name, at = _decode_name(data, HEADER_BYTES)
    kind, group = _unpack("!2H", data, at)
    return Question(name, kind, group), at + 4


def decode_records(data: bytes, at: int, number: int) -> tuple[Record, ...]:
    records: list[Record] = []
    for _ in range(number):
        record, at = _decode_record(data, at)
        records.append(record)
    return tuple(records)


def _escape(label: bytes) -> str:
    if _plain.fullmatch(label):
        return label.decode("ascii")
    return "".join(
        f"\\{chr(byte)}" if byte in b".\\" else chr(byte) if 0x21 <= byte <= 0x7E else f"\\{byte:03}" for byte in label
    )


def _decode_name(data: bytes, start: int) -> tuple[str, int]:
    """A name and where what follows it begins.

    Each pointer must lead before the part of the name it ends: so a name takes each byte once and cannot go round in circles.
    And there is one for each label at most, or the names of one message could share a chain of thousands.
    """
    labels: list[str] = []
    size, at, lowest, after, pointers = 1, start, start, -1, 0
    while True:
        length = _unpack("!B", data, at)[0]
        if length >= _POINTER:
            after = at + 2 if after < 0 else after
            at = _unpack("!H", data, at)[0] & 0x3FFF
            pointers += 1
            if at >= lowest:
                raise MessageError("a pointer that does not lead back")
            if pointers > MAX_LABELS:
                raise MessageError("more pointers than a name has labels")
            lowest = at
        elif length > MAX_LABEL_BYTES:
            raise MessageError(f"a label of the unknown type {length >> 6}")
        elif length:
            label = data[at + 1 : at + 1 + length]
            size += length + 1
            if len(label) < length or size > MAX_NAME_BYTES:
                raise MessageError("a name that does not end")
            labels.append(_escape(label))
            at += 1 + length
        else:
            return ".".join(labels) or ".", at + 1 if after < 0 else after


def _decode_record(data: bytes, at: int) -> tuple[Record, int]:
    name, at = _decode_name(data, at)
    kind, _, ttl, length = _unpack("!2HIH", data, at)
    at += 10
    end = at + length
    if end > len(data):
        raise MessageError("a record that does not end")
    return Record(name, kind, ttl, _decode_data(data, kind, at, end)), end


def _decode_data(data: bytes, kind: int, at: int, end: int) -> str:
    match kind:
        case 1 | 28:
            if end - at != (4 if kind == TYPES["A"] else 16):
                raise MessageError(f"an address of {end - at} bytes")
            return str(ipaddress.ip_address(data[at:end]))
        case 2 | 5 | 12:
            text, after = _decode_name(data, at)
        case 15:
            name, after = _decode_name(data, at + 2)
            text = f"{_unpack('!H', data, at)[0]} {name}"
        case 33:
            name, after = _decode_name(data, at + 6)
            text = "{} {} {} {}".format(*_unpack("!3H", data, at), name)
        case 16:
            return _decode_strings(data[at:end])
        case _:
            return data[at:end].hex()
    if after != end:
        raise MessageError("a name that does not fill its record")
    return text


def _decode_strings(data: bytes) -> str:
    """The strings of a TXT record, joined as those who read them do."""
    out = bytearray()
    at = 0
    while at < len(data):
        length = data[at]
        if at + 1 + length > len(data):
            raise MessageError("a string that does not end")
        out += data[at + 1 : at + 1 + length]
        at += 1 + length
    return out.decode(errors="backslashreplace")


def _unpack(form: str, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, data, at)
    except struct.error:
        raise MessageError("bytes are missing") from None
