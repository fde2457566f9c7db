"""The reader of DNS answers beside a plain reading of RFC 1035."""

from __future__ import annotations

import contextlib
import struct
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshkit_fastprobe.model import Reason
from meshkit_fastprobe.probes.dns import DnsExpect, Rcode, RecordType, plan_of
from meshkit_fastprobe.probes.dns_wire import RCODES, TYPES, encode_name, split_name
from tests.dns_message import (
    HEADER_BYTES,
    RESPONSE,
    TRUNCATED,
    Message,
    MessageError,
    Question,
    Record,
    decode,
    decode_question,
    decode_records,
    encode,
    query,
    reply,
)

NAME = "www.example.org"
ID = 0x1234
STRAY, CUT, JUDGED = 0, 1, 2
PROTOCOL = (JUDGED, Reason.DNS_PROTOCOL, 0)
LARGEST_TTL = 2**31 - 1


class Asked(NamedTuple):
    """What a plan is made of."""

    query_type: RecordType
    expect: DnsExpect = DnsExpect()

    def read(self, data: bytes, *, over_tcp: bool) -> tuple[int, int, int]:
        return plan_of(NAME, self.query_type, self.expect).read(ID, data, over_tcp=over_tcp)


# -- the plain reading --------------------------------------------------------------------------------------------------------


def read_plainly(asked: Asked, data: bytes, *, over_tcp: bool) -> tuple[int, int, int]:
    verdict = _read_datagram(asked, data)
    if over_tcp and verdict[0] != JUDGED:
        return PROTOCOL
    return verdict


def _read_datagram(asked: Asked, data: bytes) -> tuple[int, int, int]:
    if len(data) < 2 or int.from_bytes(data[:2]) != ID:
        return STRAY, 0, 0
    if len(data) < HEADER_BYTES:
        return PROTOCOL
    try:
        return _read_message(asked, data)
    except MessageError:
        return PROTOCOL


def _read_message(asked: Asked, data: bytes) -> tuple[int, int, int]:
    _, flags, questions, answers = struct.unpack_from("!4H", data)
    if not flags & RESPONSE:
        return STRAY, 0, 0
    if questions > 1:
        return PROTOCOL
    question, at = decode_question(data) if questions else (None, HEADER_BYTES)
    if not (question.asks(Question(NAME, TYPES[asked.query_type])) if question else flags & 0xF):
        return STRAY, 0, 0
    if flags & TRUNCATED:
        return CUT, 0, 0
    return _judge(asked, flags & 0xF, decode_records(data, at, answers))


def _judge(asked: Asked, rcode: int, records: tuple[Record, ...]) -> tuple[int, int, int]:
    expect = asked.expect
    if rcode != RCODES[expect.rcode]:
        plain = Reason.DNS_NXDOMAIN if rcode == RCODES["NXDOMAIN"] else Reason.DNS_FAILURE
        return JUDGED, plain if expect.rcode == "NOERROR" else Reason.DNS_MISMATCH, rcode
    if rcode:
        return JUDGED, Reason.NONE, rcode
    ours = [record for record in records if record.type == TYPES[asked.query_type]]
    if len(ours) < expect.min_answers or not all(_holds(asked, wanted, ours) for wanted in expect.answers):
        return JUDGED, Reason.DNS_MISMATCH, min(len(ours), 0xFFFF)
    shortest_s = min((record.ttl if record.ttl <= LARGEST_TTL else 0 for record in ours), default=LARGEST_TTL)
    if shortest_s < int(expect.min_ttl):
        return JUDGED, Reason.DNS_TTL, min(shortest_s, 0xFFFF)
    return JUDGED, Reason.NONE, 0


def _holds(asked: Asked, wanted: str, records: list[Record]) -> bool:
    if asked.query_type == "TXT":
        return any(wanted in record.data for record in records)
    return any(wanted.lower() == record.data.lower() for record in records)


# -- questions and answers ----------------------------------------------------------------------------------------------------

WANTED: dict[RecordType, str] = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "CNAME": NAME,
    "MX": "10 mail.example.org",
    "NS": "ns.example.org",
    "PTR": "host.example.org",
    "SRV": "1 2 443 host.example.org",
    "TXT": "spf1",
}
labels = st.text("abXY0-_*", min_size=1, max_size=8)
names = st.sampled_from([NAME, NAME.upper(), "ns.example.org", "."]) | st.lists(labels, max_size=3).map(".".join).map(
    lambda name: name or "."
)
shorts = st.integers(0, 0xFFFF)
ttls = st.sampled_from([0, 4, 5, 60, 70_000, LARGEST_TTL, LARGEST_TTL + 1]) | st.integers(0, 2**32 - 1)
kinds_and_data = st.one_of(
    st.sampled_from([(TYPES[kind], data) for kind, data in WANTED.items()]),
    st.tuples(st.just(TYPES["A"]), st.ip_addresses(v=4).map(str)),
    st.tuples(st.just(TYPES["AAAA"]), st.ip_addresses(v=6).map(str)),
    st.tuples(st.sampled_from([TYPES["NS"], TYPES["CNAME"], TYPES["PTR"]]), names),
    st.tuples(st.just(TYPES["TXT"]), st.text(st.characters(codec="utf-8"), max_size=300).map(lambda text: text + "spf1")),
    st.tuples(st.just(TYPES["MX"]), st.tuples(shorts, names).map(lambda parts: f"{parts[0]} {parts[1]}")),
    st.tuples(st.just(TYPES["SRV"]), st.tuples(shorts, shorts, shorts, names).map(lambda parts: " ".join(map(str, parts)))),
    st.tuples(st.just(99), st.binary(max_size=40).map(bytes.hex)),
)
records = st.builds(lambda name, ttl, data: Record(name, data[0], ttl, data[1]), names, ttls, kinds_and_data)
rcodes: st.SearchStrategy[Rcode] = st.sampled_from(["NOERROR", "NXDOMAIN", "REFUSED"])


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    query_type: RecordType = draw(st.sampled_from(sorted(WANTED)))
    if draw(st.booleans()):
        return Asked(query_type)
    wanted = (WANTED[query_type],) if draw(st.booleans()) else ()
    rcode: Rcode = "NOERROR" if wanted else draw(rcodes)
    return Asked(query_type, DnsExpect(rcode, wanted, draw(st.integers(0, 3)), draw(st.sampled_from([0, 5, 60]))))


@st.composite
def answers(draw: st.DrawFn, asked: Asked) -> bytes:
    """Mostly an answer to the question; often damaged, and with names that point at the question's as servers write them."""
    ours = Question(draw(st.sampled_from([NAME, NAME.upper()])), TYPES[asked.query_type])
    question = draw(st.sampled_from([ours, ours, ours, ours, Question("ns.example.org", ours.type), None]))
    flags = draw(st.sampled_from([0x8180, 0x8180, 0x8180, 0x8183, 0x8185, 0x8380, 0x0100]))
    wanted = st.builds(lambda ttl: Record(NAME, ours.type, ttl, WANTED[asked.query_type]), ttls)
    named = draw(st.lists(wanted | records, max_size=4).map(tuple))
    data = bytearray(encode(Message(ID, flags, question, named)))
    if question is not None and draw(st.booleans()):
        whole = encode_name(question.name)
        data[HEADER_BYTES + len(whole) :] = data[HEADER_BYTES + len(whole) :].replace(whole, b"\xc0\x0c")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 4]))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.integers(0, 7)) == 0 else bytes(data)


@settings(max_examples=1500)
@given(st.data(), st.booleans())
def test_an_answer_is_read_as_by_the_plain_reading(data: st.DataObject, over_tcp: bool) -> None:
    asked = data.draw(questions())
    answer = data.draw(answers(asked))
    assert asked.read(answer, over_tcp=over_tcp) == read_plainly(asked, answer, over_tcp=over_tcp)


@given(st.binary(max_size=300).map(lambda tail: ID.to_bytes(2) + tail), st.booleans())
@example(b"", False)
def test_any_bytes_are_read_as_by_the_plain_reading(hostile: bytes, over_tcp: bool) -> None:
    assert Asked("A").read(hostile, over_tcp=over_tcp) == read_plainly(Asked("A"), hostile, over_tcp=over_tcp)


# -- names, where both readings must be strict ---------------------------------------------------------------------------------


def _both(data: bytes, query_type: RecordType = "A") -> tuple[int, int, int]:
    asked = Asked(query_type, DnsExpect(min_answers=0))
    read = asked.read(data, over_tcp=False)
    assert read == read_plainly(asked, data, over_tcp=False)
    return read


def _answer(name: bytes, data: bytes = b"\xc0\0\2\1", kind: int = 1, before: bytes = b"") -> bytes:
    """A good answer but for the name (and data) of its last record; `before`, an opaque record's data, begins at byte 44."""
    question = encode_name(NAME) + struct.pack("!2H", TYPES["A"], 1)
    opaque = b"\0" + struct.pack("!2HIH", 65280, 1, 60, len(before)) + before
    record = name + struct.pack("!2HIH", kind, 1, 60, len(data)) + data
    return struct.pack("!6H", ID, 0x8180, 1, 2, 0, 0) + question + opaque + record


BEFORE = HEADER_BYTES + len(NAME) + 2 + 4 + 11
LAST = BEFORE  # where the last record begins when nothing is before it


def test_a_compressed_name_is_followed() -> None:
    assert _both(_answer(b"\xc0\x0c")) == (JUDGED, Reason.NONE, 0)
    assert _both(_answer(b"\x03cdn\xc0\x10")) == (JUDGED, Reason.NONE, 0)


@pytest.mark.parametrize("to", [LAST, LAST + 1, 0x3FFF], ids=["itself", "forward", "beyond"])
def test_a_pointer_that_does_not_lead_back_is_refused(to: int) -> None:
    assert _both(_answer(struct.pack("!H", 0xC000 | to))) == PROTOCOL


def test_two_pointers_at_each_other_are_refused() -> None:
    there = b"\x01a" + struct.pack("!H", 0xC000 | BEFORE)
    assert _both(_answer(struct.pack("!H", 0xC000 | BEFORE), before=there)) == PROTOCOL


@pytest.mark.parametrize(("pointers", "verdict"), [(100, (JUDGED, Reason.NONE, 0)), (150, PROTOCOL)])
def test_a_chain_of_pointers_that_many_names_could_share_is_refused(pointers: int, verdict: tuple[int, int, int]) -> None:
    chain = b"\0" + b"".join(struct.pack("!H", 0xC000 | max(BEFORE, BEFORE + 2 * at - 1)) for at in range(200))
    first = BEFORE + 1 + 2 * (pointers - 2)
    assert _both(_answer(struct.pack("!H", 0xC000 | first), before=chain)) == verdict


def test_a_name_longer_than_255_bytes_through_pointers_is_refused() -> None:
    long = (b"\x3f" + b"a" * 63) * 3 + b"\0"
    fits = b"\x3d" + b"b" * 61 + struct.pack("!H", 0xC000 | BEFORE)
    assert _both(_answer(fits, before=long))[1] == Reason.NONE
    assert _both(_answer(fits.replace(b"\x3d", b"\x3e") + b"b", before=long))[1] == Reason.DNS_PROTOCOL


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("A", b"\x01\x02\x03"),
        ("AAAA", b"\x01\x02\x03\x04"),
        ("TXT", b"\x05abc"),
        ("NS", b"\x01a\0extra"),
        ("MX", b"\x00"),
        ("SRV", b"\x00\x01\x00\x01"),
    ],
)
def test_data_that_does_not_fit_its_type_is_refused(kind: str, data: bytes) -> None:
    assert _both(_answer(b"\0", data, TYPES[kind])) == PROTOCOL


def test_counts_that_promise_more_than_there_is_are_refused() -> None:
    assert _both(_answer(b"\0").replace(b"\x81\x80\0\1\0\2", b"\x81\x80\0\1\xff\xff")) == PROTOCOL


# -- the codec of the tests itself ---------------------------------------------------------------------------------------------

any_questions = st.builds(Question, names, st.sampled_from(sorted(TYPES.values())))
messages = st.builds(Message, shorts, shorts, st.none() | any_questions, st.lists(records, max_size=4).map(tuple))


@given(messages)
def test_a_message_is_read_back_as_it_was_written(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(hostile: bytes) -> None:
    with contextlib.suppress(MessageError):
        decode(hostile)


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3))
def test_a_name_of_any_bytes_is_read_back(parts: list[bytes]) -> None:
    wire = b"".join(bytes((len(part),)) + part for part in parts) + b"\0"
    asked = decode(struct.pack("!6H", 7, 0, 1, 0, 0, 0) + wire + struct.pack("!2H", 1, 1)).question
    assert asked is not None
    assert split_name(asked.name) == parts
    assert encode_name(asked.name) == wire


def test_a_reply_carries_what_was_asked() -> None:
    asked = query(4711, Question("Example.org", TYPES["A"]))
    answer = reply(asked, rcode="NXDOMAIN", flags=TRUNCATED)
    assert (answer.id, answer.rcode, answer.response, answer.truncated) == (4711, RCODES["NXDOMAIN"], True, True)
    assert answer.question is not None
    assert answer.question.asks(Question("example.ORG", TYPES["A"]))
    assert not asked.response
