"""Words of nf_tables: messages and expressions as the kernel reads them, each named as `nft` shows it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from meshkit_fastprobe.chaos.network.netlink import (
    APPEND,
    CREATE,
    EXCLUSIVE,
    Message,
    attribute,
    attributes,
    be16,
    be32,
    be64,
    nested,
    pairs,
    text,
)

INET: Final = 1  # NFPROTO_INET: IPv4 and IPv6 in one table
IPV4: Final = 2
IPV6: Final = 10
HOOK_IN: Final = 1
HOOK_OUT: Final = 3
DROP: Final = 0
ACCEPT: Final = 1
EQUAL: Final = 0
LESS: Final = 2
NETWORK_HEADER: Final = 1
TRANSPORT_HEADER: Final = 2
META_NFPROTO: Final = 15
META_L4PROTO: Final = 16
TYPE_INET_PROTO: Final = 12  # what nft calls the type of a set's keys, for those who list it
TABLE_OWNER: Final = 0x2
SET_TIMEOUT: Final = 0x10
QUEUE_BYPASS: Final = 1
COUNTING: Final = 0
RANDOM: Final = 1
MAX_COMMENT: Final = 127

_REGISTER: Final = 1
_VERDICT_REGISTER: Final = 0


# -- messages ------------------------------------------------------------------------------------------------------------


def new_table(name: str, comment: str) -> Message:
    """Owned by the socket that sends it. Refused with EEXIST when the name is taken."""
    said = comment.encode("ascii", "replace")[:MAX_COMMENT] + b"\0"
    user_data = attribute(6, bytes([0, len(said)]) + said)
    return Message(0, INET, CREATE | EXCLUSIVE, text(1, name) + be32(2, TABLE_OWNER) + user_data)


def delete_table(name: str, family: int = INET) -> Message:
    return Message(2, family, 0, text(1, name))


def list_tables() -> Message:
    return Message(1, 0, 0, b"")


def new_chain(table: str, name: str, hook: int | None) -> Message:
    """At the usual place of filters; without a hook nothing enters it."""
    hooked = b"" if hook is None else nested(4, be32(1, hook), be32(2, 0)) + be32(5, ACCEPT) + text(7, "filter")
    return Message(3, INET, CREATE, text(1, table) + text(3, name) + hooked)


def new_rule(table: str, chain: str, expressions: Iterable[bytes]) -> Message:
    return Message(6, INET, CREATE | APPEND, text(1, table) + text(2, chain) + nested(4, *expressions))


def list_rules(table: str) -> Message:
    return Message(7, INET, 0, text(1, table))


def new_set(table: str, name: str, flags: int, size: int) -> Message:
    """Of protocols."""
    shape = be32(3, flags) + be32(4, TYPE_INET_PROTO) + be32(5, 1) + nested(9, be32(1, size))
    return Message(9, INET, CREATE, text(1, table) + text(2, name) + shape + be32(10, 1))


def new_elements(table: str, name: str, keys: Iterable[int], timeout_ms: int) -> Message:
    return Message(12, INET, CREATE, text(1, table) + text(2, name) + nested(3, *(_element(key, timeout_ms) for key in keys)))


def delete_elements(table: str, name: str, keys: Iterable[int]) -> Message:
    """Refused with ENOENT when one of them has expired."""
    return Message(14, INET, 0, text(1, table) + text(2, name) + nested(3, *(_element(key, None) for key in keys)))


def list_elements(table: str, name: str) -> Message:
    return Message(13, INET, 0, text(1, table) + text(2, name))


def _element(key: int, timeout_ms: int | None) -> bytes:
    return nested(1, nested(1, attribute(1, bytes([key]))), b"" if timeout_ms is None else be64(4, timeout_ms))


# -- expressions: what a rule is made of ---------------------------------------------------------------------------------


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *parts))


def _compare(value: bytes, how: int = EQUAL) -> bytes:
    return _expression("cmp", be32(1, _REGISTER), be32(2, how), nested(3, attribute(1, value)))


def meta_is(key: int, value: int) -> list[bytes]:
    return [_expression("meta", be32(1, _REGISTER), be32(2, key)), _compare(bytes([value]))]


def protocol_in(set_name: str) -> list[bytes]:
    """Whether the packet's protocol is in a set, and has not expired there."""
    return [
        _expression("meta", be32(1, _REGISTER), be32(2, META_L4PROTO)),
        _expression("lookup", text(1, set_name), be32(2, _REGISTER)),
    ]


def payload_is(base: int, offset: int, value: bytes, mask: bytes | None = None) -> list[bytes]:
    """Whether bytes of a header, under the mask, are these."""
    size = len(value)
    load = _expression("payload", be32(1, _REGISTER), be32(2, base), be32(3, offset), be32(4, size))
    if mask is None:
        return [load, _compare(value)]
    keep = nested(4, attribute(1, mask))
    flip = nested(5, attribute(1, bytes(size)))
    return [load, _expression("bitwise", be32(1, _REGISTER), be32(2, _REGISTER), be32(3, size), keep, flip), _compare(value)]


def one_in(how: int, numerator: int, denominator: int) -> list[bytes]:
    """Whether numgen random mod denominator < numerator; or numgen inc, which counts the packets that come to it."""
    return [
        _expression("numgen", be32(1, _REGISTER), be32(2, denominator), be32(3, how)),
        # Comparing is of bytes from the left, and the number is as this machine keeps it.
        _expression("byteorder", be32(1, _REGISTER), be32(2, _REGISTER), be32(3, 1), be32(4, 4), be32(5, 4)),
        _compare(struct.pack("!I", numerator), LESS),
    ]


def counted(verdict: int) -> list[bytes]:
    decided = nested(2, nested(2, be32(1, verdict)))
    return [_expression("counter"), _expression("immediate", be32(1, _VERDICT_REGISTER), decided)]


def queued(number: int, *, native: bool) -> list[bytes]:
    """Hand packets to whoever reads this queue, and let them pass if nobody does. native: the word of nft, or of iptables."""
    if native:
        return [_expression("counter"), _expression("queue", be16(1, number), be16(2, 1), be16(3, QUEUE_BYPASS))]
    information = struct.pack("=HHHxx", number, 1, QUEUE_BYPASS)  # struct xt_NFQ_info_v3, padded as iptables does
    return [_expression("counter"), _expression("target", text(1, "NFQUEUE"), be32(2, 3), attribute(3, information))]


# -- what the kernel tells -----------------------------------------------------------------------------------------------


def table_told(data: bytes) -> tuple[str, int | None, str]:
    """Name of a table, the port of its owner, if it has one, and its comment."""
    told = attributes(data)
    owner, said = told.get(7), told.get(6, b"")
    port = struct.unpack("!I", owner)[0] if owner and len(owner) == 4 else None
    return _string(told.get(1, b"")), port, _string(said[2 : 2 + said[1]]) if said[:1] == b"\0" and len(said) > 1 else ""


def packets_touched(rule: bytes) -> int:
    """What a rule's counter stands at, if the rule does anything but spare."""
    packets, spares = 0, False
    for _, expression in pairs(attributes(rule).get(4, b"")):
        told = attributes(expression)
        inside = attributes(told.get(2, b""))
        match _string(told.get(1, b"")):
            case "counter":
                packets = int.from_bytes(inside.get(2, b""), "big")
            case "immediate":
                verdict = attributes(attributes(inside.get(2, b"")).get(2, b""))
                spares = int.from_bytes(verdict.get(1, b""), "big") == ACCEPT
            case _:
                pass
    return 0 if spares else packets


def has_elements(dumped: Iterable[bytes]) -> bool:
    """Of the answers to list_elements: whether any element is live. The kernel leaves expired ones out."""
    return any(attributes(answer).get(3) for answer in dumped)


def _string(data: bytes) -> str:
    return data.rstrip(b"\0").decode("ascii", "replace")
