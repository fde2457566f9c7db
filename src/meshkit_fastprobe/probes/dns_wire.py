r"""Names and record data of DNS (RFC 1035): from text, as zone files write them, to bytes, as messages have them.

A name is text without its last dot, "." for the root; what does not print in a label is written \DDD, and a dot in it \.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final

TYPES: Final = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
RCODES: Final = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}

MAX_NAME_BYTES: Final = 255
MAX_LABEL_BYTES: Final = 63

_label = re.compile(r"(?:\\[0-9]{3}|\\[^0-9]|[^\\.])+")
_part = re.compile(r"\\([0-9]{3})|\\(.)|(.)", re.DOTALL)


class NotDnsError(ValueError):
    """Text that has no place in a DNS message."""


def encode_name(name: str) -> bytes:
    """A name as length-prefixed labels."""
    out = bytearray()
    for label in split_name(name):
        out += bytes((len(label),)) + label
    out.append(0)
    if len(out) > MAX_NAME_BYTES:
        raise NotDnsError(f"a name of {len(out)} bytes; the bound is {MAX_NAME_BYTES}")
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
            raise NotDnsError(f"an empty label in {name!r}")
        labels.append(_unescape(match[0]))
        at = match.end()
        if at < len(name) and name[at] != ".":
            raise NotDnsError(f"an unfinished escape in {name!r}")
        at += 1
    return labels


def _unescape(label: str) -> bytes:
    try:
        out = b"".join(
            bytes((int(number),)) if number else (escaped or character).encode("ascii")
            for number, escaped, character in _part.findall(label)
        )
    except ValueError:
        raise NotDnsError(f"{label!r} is not a label: bytes above 127 are written \\DDD") from None
    if len(out) > MAX_LABEL_BYTES:
        raise NotDnsError(f"a label of {len(out)} bytes; the bound is {MAX_LABEL_BYTES}")
    return out


def encode_data(kind: int, data: str) -> bytes:  # noqa: PLR0911 - one return a type
    """What a record of this type holds, as a message has it. NotDnsError for what is no such data."""
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
        raise NotDnsError(f"{data!r} is not data of type {kind}: {error}") from None
