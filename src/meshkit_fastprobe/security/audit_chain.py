"""The chain of audit records: what is signed, how it is checked, and what a break is called.

Each record's mac is HMAC-SHA256 over the mac before it and the record's own bytes, so a record that was changed, moved or
taken out breaks the chain at its place. A tail that was cut breaks nothing inside: it is found by a head known from elsewhere
(a checkpoint, the exported metric, an event's reader).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

GENESIS: Final = bytes(32)
"""The mac before the first record."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did or was refused. scope names what it was done to, detail is for people."""

    actor: str
    action: str
    result: str
    scope: str = ""
    reason: str = ""
    ticket: str = ""
    detail: str = ""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """An entry in its place. at_ns is wall time, mono_ns the monotonic clock of this boot; late: written after the deed."""

    seq: int
    at_ns: int
    mono_ns: int
    boot_id: str
    late: bool
    entry: Entry


class Head(msgspec.Struct, frozen=True):
    """Where the chain ends; seq 0 before the first record."""

    seq: int = 0
    mac: bytes = GENESIS


class Verdict(StrEnum):
    INTACT = "intact"
    ALTERED = "altered"
    MISSING = "missing"
    TRUNCATED = "truncated"
    TORN = "torn"


class Report(msgspec.Struct, frozen=True):
    """What a verification came to: at is the first record concerned, records how many stood before it."""

    verdict: Verdict
    records: int
    head: Head
    at: int | None = None
    why: str = ""


_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def canonical(record: Record) -> bytes:
    """The bytes that are stored and signed."""
    return _encode(record)


decode: Final = msgspec.json.Decoder(Record).decode
"""The record that these bytes are."""


def link(key: bytes, previous: bytes, content: bytes) -> bytes:
    """The mac of a record whose bytes are content, after the record with the mac previous."""
    return hmac.digest(key, previous + content, "sha256")


def check_chain(key: bytes, start: Head, rows: Iterable[tuple[int, bytes, bytes]], known: Iterable[Head]) -> Report:
    """Follow rows of (seq, content, mac) from start on. known: heads that were vouched for and have to be met, from start on.

    Two of them that contradict each other are a verdict by themselves: who rewrites records with the keys signs anew, too.
    """
    expected: dict[int, bytes] = {}
    for head in known:
        if expected.setdefault(head.seq, head.mac) != head.mac:
            return Report(Verdict.ALTERED, 0, start, head.seq, "two heads were vouched for in this place")
    return _follow(key, start, rows, expected)


def _follow(key: bytes, start: Head, rows: Iterable[tuple[int, bytes, bytes]], expected: dict[int, bytes]) -> Report:
    digest = hmac.digest
    seq, mac, count = start.seq, start.mac, 0
    if expected.get(seq, mac) != mac:
        return Report(Verdict.ALTERED, 0, start, seq, "the beginning is not the one that was vouched for")
    for row_seq, content, row_mac in rows:
        if row_seq != seq + 1:
            return Report(Verdict.MISSING, count, Head(seq, mac), seq + 1, f"record {seq + 1} is not there, {row_seq} follows")
        if digest(key, mac + content, "sha256") != row_mac:
            return Report(Verdict.ALTERED, count, Head(seq, mac), row_seq, "the record does not follow from the one before it")
        seq, mac, count = row_seq, row_mac, count + 1
        if expected and expected.get(seq, mac) != mac:
            return Report(Verdict.ALTERED, count, Head(seq, mac), seq, "another record was vouched for in this place")
    last = max(expected, default=0)
    if last > seq:
        return Report(Verdict.TRUNCATED, count, Head(seq, mac), seq + 1, f"record {last} was vouched for and is not there")
    return Report(Verdict.INTACT, count, Head(seq, mac))
