"""The codec reads back what it wrote, and survives whatever else it is given."""

from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.probes.dns_message import (
    RCODES,
    TRUNCATED,
    TYPES,
    Message,
    MessageError,
    Question,
    Record,
    decode,
    encode,
    encode_name,
    query,
    reply,
    split_name,
)

labels = st.text("abcXYZ019-_*", min_size=1, max_size=63)
names = st.lists(labels, max_size=3).map(".".join).map(lambda name: name or ".")
shorts = st.integers(0, 0xFFFF)


def _record(name: str, ttl: int, kind_and_data: tuple[int, str]) -> Record:
    return Record(name, kind_and_data[0], ttl, kind_and_data[1])


data = st.one_of(
    st.tuples(st.just(TYPES["A"]), st.ip_addresses(v=4).map(str)),
    st.tuples(st.just(TYPES["AAAA"]), st.ip_addresses(v=6).map(str)),
    st.tuples(st.sampled_from([TYPES["NS"], TYPES["CNAME"], TYPES["PTR"]]), names),
    st.tuples(st.just(TYPES["TXT"]), st.text(st.characters(codec="utf-8"), max_size=300)),
    st.tuples(st.just(TYPES["MX"]), st.tuples(shorts, names).map(lambda parts: f"{parts[0]} {parts[1]}")),
    st.tuples(st.just(TYPES["SRV"]), st.tuples(shorts, shorts, shorts, names).map(lambda parts: " ".join(map(str, parts)))),
    st.tuples(st.just(99), st.binary(max_size=40).map(bytes.hex)),
)
records = st.builds(_record, names, st.integers(0, 2**32 - 1), data)
questions = st.builds(Question, names, st.sampled_from(sorted(TYPES.values())))
messages = st.builds(Message, shorts, shorts, st.none() | questions, st.lists(records, max_size=4).map(tuple))


@given(messages)
def test_a_message_is_read_back_as_it_was_written(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(hostile: bytes) -> None:
    _decode_or_refuse(hostile)


@given(messages, st.data())
def test_a_damaged_message_is_a_message_or_refused(message: Message, draw: st.DataObject) -> None:
    damaged = bytearray(encode(message))
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    _decode_or_refuse(bytes(damaged[: draw.draw(st.integers(0, len(damaged)))]))


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3))
def test_a_name_of_any_bytes_is_read_back(parts: list[bytes]) -> None:
    wire = b"".join(bytes((len(part),)) + part for part in parts) + b"\0"
    asked = decode(struct.pack("!6H", 7, 0, 1, 0, 0, 0) + wire + struct.pack("!2H", 1, 1)).question
    assert asked is not None
    assert split_name(asked.name) == parts
    assert encode_name(asked.name) == wire


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        wire = encode_name(text)
    except MessageError:
        return
    assert len(wire) <= 255


def test_a_compressed_name_is_followed() -> None:
    wire = struct.pack("!6H", 1, 0x8180, 1, 2, 0, 0) + b"\x03www\x07example\x03org\0" + struct.pack("!2H", 1, 1)
    wire += b"\xc0\x0c" + struct.pack("!2HIH", 5, 1, 60, 6) + b"\x03cdn\xc0\x10"
    wire += b"\xc0\x2d" + struct.pack("!2HIH", 1, 1, 60, 4) + bytes((192, 0, 2, 1))
    assert decode(wire).answers == (
        Record("www.example.org", TYPES["CNAME"], 60, "cdn.example.org"),
        Record("cdn.example.org", TYPES["A"], 60, "192.0.2.1"),
    )


@pytest.mark.parametrize("pointer", [b"\xc0\x0c", b"\xc0\x0d", b"\xff\xff"], ids=["itself", "forward", "beyond"])
def test_a_pointer_that_does_not_lead_back_is_refused(pointer: bytes) -> None:
    with pytest.raises(MessageError):
        decode(struct.pack("!6H", 1, 0, 1, 0, 0, 0) + pointer + struct.pack("!2H", 1, 1))


def test_two_pointers_at_each_other_are_refused() -> None:
    with pytest.raises(MessageError, match="lead back"):
        decode(struct.pack("!6H", 1, 0x8000, 0, 1, 0, 0) + b"\x01a\xc0\x0e\xc0\x0c" + bytes(10))


def test_a_chain_of_pointers_that_many_names_could_share_is_refused() -> None:
    chain = b"\0" + b"".join(struct.pack("!H", 0xC000 | max(23, 22 + 2 * at)) for at in range(200))
    opaque = b"\0" + struct.pack("!2HIH", 65280, 1, 0, len(chain)) + chain
    for pointers, refused in ((100, False), (150, True)):
        named = struct.pack("!H", 0xC000 | (22 + 2 * pointers)) + struct.pack("!2HIH", 65280, 1, 0, 0)
        wire = struct.pack("!6H", 1, 0x8000, 0, 2, 0, 0) + opaque + named
        with pytest.raises(MessageError, match="more pointers than a name has labels") if refused else contextlib.nullcontext():
            decode(wire)


def test_a_name_longer_than_255_bytes_through_pointers_is_refused() -> None:
    first = b"".join(b"\x3f" + b"a" * 63 for _ in range(3)) + b"\0"
    with pytest.raises(MessageError, match="does not end"):
        decode(struct.pack("!6H", 1, 0x8000, 1, 1, 0, 0) + first + bytes(4) + (b"\x3f" + b"b" * 63) + b"\xc0\x0c" + bytes(10))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (TYPES["A"], b"\x01\x02\x03"),
        (TYPES["AAAA"], b"\x01\x02\x03\x04"),
        (TYPES["TXT"], b"\x05abc"),
        (TYPES["NS"], b"\x01a\0extra"),
        (TYPES["MX"], b"\x00"),
        (TYPES["SRV"], b"\x00\x01\x00\x01"),
    ],
)
def test_data_that_does_not_fit_its_type_is_refused(kind: int, data: bytes) -> None:
    record = b"\0" + struct.pack("!2HIH", kind, 1, 60, len(data)) + data
    with pytest.raises(MessageError):
        decode(struct.pack("!6H", 1, 0x8000, 0, 1, 0, 0) + record)


def test_counts_that_promise_more_than_there_is_are_refused() -> None:
    with pytest.raises(MessageError):
        decode(struct.pack("!6H", 1, 0x8000, 0, 0xFFFF, 0, 0))


@pytest.mark.parametrize("name", ["a..b", ".a", "a" * 64, ".".join(["a" * 63] * 4), "a\\", "b\\256", "ä.example"])
def test_what_is_no_domain_name_is_refused(name: str) -> None:
    with pytest.raises(MessageError):
        encode_name(name)


def test_a_dot_at_the_end_changes_nothing() -> None:
    assert encode_name("example.org.") == encode_name("example.org")
    assert encode_name(".") == encode_name("") == b"\0"


def test_an_escaped_dot_belongs_to_its_label() -> None:
    assert split_name(r"a\.b.c\032d") == [b"a.b", b"c d"]


def test_a_reply_carries_what_was_asked() -> None:
    asked = query(4711, Question("Example.org", TYPES["A"]))
    answer = reply(asked, rcode="NXDOMAIN", flags=TRUNCATED)
    assert (answer.id, answer.rcode, answer.response, answer.truncated) == (4711, RCODES["NXDOMAIN"], True, True)
    assert answer.question is not None
    assert answer.question.asks(Question("example.ORG", TYPES["A"]))
    assert not asked.response


@pytest.mark.parametrize(
    "record",
    [
        Record("a", TYPES["A"], 1, "1.2.3"),
        Record("a", TYPES["MX"], 1, "mail.example.org"),
        Record("a", TYPES["SRV"], 1, "1 2 70000 a"),
        Record("a", 99, 1, "zz"),
        Record("a", TYPES["TXT"], 1, "x" * 65_500),
    ],
)
def test_data_that_cannot_be_written_is_refused(record: Record) -> None:
    with pytest.raises(MessageError):
        encode(Message(1, 0x8000, None, (record,)))


def test_addresses_are_read_in_their_short_form() -> None:
    address = ipaddress.ip_address("2001:db8::1")
    assert decode(encode(Message(1, 0x8000, None, (Record("a", 28, 1, "2001:0db8:0::1"),)))).answers[0].data == str(address)


def _decode_or_refuse(hostile: bytes) -> None:
    with contextlib.suppress(MessageError):
        decode(hostile)
