r"""DNS messages (RFC 1035) as values and as bytes. Pure: no sockets, no clock.

Only the question and the answers are looked at. A name is text without its last dot, "." for the root; what does not print
in a label is written \DDD, and a dot in it \., as zone files do.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final

import msgspec

TYPES: Final = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
RCODES: Final = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
RCODE_NAMES: Final = {number: name for name, number in RCODES.items()}

IN: Final = 1
MAX_NAME_BYTES: Final = 255
MAX_LABEL_BYTES: Final = 63
MAX_LABELS: Final = 127
MAX_MESSAGE_BYTES: Final = 65_535
HEADER_BYTES: Final = 12

RESPONSE: Final = 0x8000
TRUNCATED: Final = 0x0200
RECURSION_DESIRED: Final = 0x0100
_POINTER: Final = 0xC0

_plain = re.compile(rb"[A-Za-z0-9_*-]+")
_label = re.compile(r"(?:\\[0-9]{3}|\\[^0-9]|[^\\.])+")
_part = re.compile(r"\\([0-9]{3})|\\(.)|(.)", re.DOTALL)


class MessageError(ValueError):
    """Bytes that are no DNS message, or a value that cannot be one."""


class Question(msgspec.Struct, frozen=True, gc=False):
    name: str
    type: int

    def asks(self, other: Question) -> bool:
        """Whether the other is the same question: names in DNS have no case."""
        return self.type == other.type and self.name.lower() == other.name.lower()


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
        out += encode_name(message.question.name) + struct.pack("!2H", message.question.type, IN)
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
        name, at = _decode_name(data, at)
        kind, _ = _unpack("!2H", data, at)
        question = Question(name, kind)
        at += 4
    records: list[Record] = []
    for _ in range(answers):
        record, at = _decode_record(data, at)
        records.append(record)
    return Message(message_id, flags, question, tuple(records))


def encode_name(name: str) -> bytes:
    """A name as length-prefixed labels."""
    out = bytearray()
    for label in split_name(name):
        out += bytes((len(label),)) + label
    out.append(0)
    if len(out) > MAX_NAME_BYTES:
        raise MessageError(f"a name of {len(out)} bytes; the bound is {MAX_NAME_BYTES}")
    return bytes(out)


def split_name(name: str) -> list[bytes]:
    """The labels of a name; a dot at its end changes nothing."""
    if name in {"", "."}:
        return []
    labels: list[bytes] = []
    at = 0
    while at < len(name):
        match = _label.match(name, at)
        if match is None:
            raise MessageError(f"an empty label in {name!r}")
        labels.append(_unescape(match[0]))
        at = match.end()
        if at < len(name) and name[at] != ".":
            raise MessageError(f"an unfinished escape in {name!r}")
        at += 1
    return labels


def _unescape(label: str) -> bytes:
    try:
        out = b"".join(
            bytes((int(number),)) if number else (escaped or character).encode("ascii")
            for number, escaped, character in _part.findall(label)
        )
    except ValueError:
        raise MessageError(f"{label!r} is not a label: bytes above 127 are written \\DDD") from None
    if len(out) > MAX_LABEL_BYTES:
        raise MessageError(f"a label of {len(out)} bytes; the bound is {MAX_LABEL_BYTES}")
    return out


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


def encode_data(kind: int, data: str) -> bytes:
    """What a record of this type holds, as a message has it. MessageError for what is no such data."""
    try:
        match kind:
            case 1:
                return ipaddress.IPv4Address(data).packed
            case 28:
                return ipaddress.IPv6Address(data).packed
            case 2 | 5 | 12:
                return encode_name(data)
            case 15:
                preference, name = data.split(None, 1)
                return struct.pack("!H", int(preference)) + encode_name(name)
            case 33:
                priority, weight, port, name = data.split(None, 3)
                return struct.pack("!3H", int(priority), int(weight), int(port)) + encode_name(name)
            case 16:
                text = data.encode()
                return b"".join(bytes((len(text[i : i + 255]),)) + text[i : i + 255] for i in range(0, len(text) or 1, 255))
            case _:
                return bytes.fromhex(data)
    except (ValueError, struct.error) as error:
        raise MessageError(f"{data!r} is not data of type {kind}: {error}") from None


def _unpack(form: str, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, data, at)
    except struct.error:
        raise MessageError("bytes are missing") from None
