"""What a DNS probe makes of an answer, and what it refuses to be. Sockets are in tests/integration."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason
from meshkit_fastprobe.probes.dns import ANY_ANSWER, DnsExpect, DnsProbe, RecordType, plan_of
from meshkit_fastprobe.probes.dns_wire import TYPES
from tests.dns_message import TRUNCATED, Message, Question, Record, encode, query, reply

ASKED = query(7, Question("example.org", TYPES["A"]))
STRAY, CUT, JUDGED = 0, 1, 2


def _answer(*data: str, query_type: str = "A", rcode: str = "NOERROR", ttl: int = 60) -> Message:
    return reply(ASKED, tuple(Record("example.org", TYPES[query_type], ttl, text) for text in data), rcode=rcode)


def _read(answer: Message, query_type: RecordType = "A", expect: DnsExpect = ANY_ANSWER) -> tuple[int, Reason, int]:
    """What the plan of such a probe makes of this answer to the question it has asked."""
    if answer.question == ASKED.question:
        answer = msgspec.structs.replace(answer, question=Question("example.org", TYPES[query_type]))
    reading, reason, detail = plan_of("example.org", query_type, expect).read(7, encode(answer))
    return reading, Reason(reason), detail


def _reason(answer: Message, query_type: RecordType = "A", expect: DnsExpect = ANY_ANSWER) -> Reason:
    reading, reason, _ = _read(answer, query_type, expect)
    assert reading == JUDGED
    return reason


def test_an_answer_passes() -> None:
    assert _reason(_answer("192.0.2.1")) is Reason.NONE


def test_no_answer_of_the_type_fails() -> None:
    assert _reason(_answer("other.example.org", query_type="CNAME")) is Reason.DNS_MISMATCH


def test_no_answer_passes_where_none_is_needed() -> None:
    assert _reason(_answer(), expect=DnsExpect(min_answers=0)) is Reason.NONE


@pytest.mark.parametrize(
    ("rcode", "reason", "detail"),
    [("NXDOMAIN", Reason.DNS_NXDOMAIN, 3), ("SERVFAIL", Reason.DNS_FAILURE, 2), ("REFUSED", Reason.DNS_FAILURE, 5)],
)
def test_another_response_code_fails_with_it(rcode: str, reason: Reason, detail: int) -> None:
    assert _read(_answer(rcode=rcode)) == (JUDGED, reason, detail)


def test_an_expected_failure_passes_and_a_success_in_its_place_fails() -> None:
    gone = DnsExpect(rcode="NXDOMAIN")
    assert _reason(_answer(rcode="NXDOMAIN"), expect=gone) is Reason.NONE
    assert _reason(_answer("192.0.2.1"), expect=gone) is Reason.DNS_MISMATCH


def test_records_that_live_too_short_fail_with_the_shortest_time() -> None:
    lasting = DnsExpect(min_ttl="1m")
    assert _reason(_answer("192.0.2.1", ttl=60), expect=lasting) is Reason.NONE
    assert _read(_answer("192.0.2.1", "192.0.2.2", ttl=59), expect=lasting) == (JUDGED, Reason.DNS_TTL, 59)


@pytest.mark.parametrize(
    ("query_type", "wanted", "answered"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
        ("NS", "NS1.example.org.", "ns1.Example.org"),
        ("MX", "10  mail.example.org.", "10 mail.example.org"),
        ("SRV", "1 2 443 a.example.org", "1 2 443 A.example.org"),
        ("TXT", "v=spf1", "v=spf1 -all"),
    ],
)
def test_an_expected_record_is_found_whatever_its_spelling(query_type: RecordType, wanted: str, answered: str) -> None:
    expect = DnsExpect(answers=(wanted,))
    assert _reason(_answer(answered, query_type=query_type), query_type, expect) is Reason.NONE
    assert _reason(_answer(_other(query_type), query_type=query_type), query_type, expect) is Reason.DNS_MISMATCH


def test_a_reply_to_something_else_is_a_stray() -> None:
    assert _read(msgspec.structs.replace(_answer("192.0.2.1"), question=Question("EXAMPLE.org", 1)))[0] == JUDGED
    assert _read(ASKED)[0] == STRAY
    assert _read(msgspec.structs.replace(_answer(), id=8))[0] == STRAY
    assert _read(msgspec.structs.replace(_answer(), question=Question("example.com", 1)))[0] == STRAY
    assert _read(msgspec.structs.replace(_answer(), question=Question("example.org", 28)))[0] == STRAY


def test_a_reply_without_the_question_counts_only_when_it_is_an_error() -> None:
    assert _read(msgspec.structs.replace(_answer(rcode="FORMERR"), question=None))[:2] == (JUDGED, Reason.DNS_FAILURE)
    assert _read(msgspec.structs.replace(_answer(), question=None))[0] == STRAY


def test_a_reply_that_was_cut_short_is_asked_for_again() -> None:
    cut = encode(reply(ASKED, (Record("example.org", 1, 60, "192.0.2.1"),), flags=TRUNCATED))
    assert plan_of("example.org", "A", ANY_ANSWER).read(7, cut[:-3]) == (CUT, 0, 0)


def test_probes_that_ask_the_same_share_a_plan() -> None:
    assert plan_of("example.org", "A", DnsExpect()) is plan_of("example.org", "A", DnsExpect())


@pytest.mark.parametrize("target", ["10.0.0.1:5353", "10.0.0.1", "[::1]", "[::1]:53", "ns1.example.org"])
def test_servers_are_accepted_with_and_without_port(target: str) -> None:
    assert DnsProbe(target, "example.org").target == target


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"target": "10.0.0.1:0"}, "DnsProbe.target", "1..65535"),
        ({"target": ""}, "DnsProbe.target", "host"),
        ({"query_name": ""}, "DnsProbe.query_name", "empty"),
        ({"query_name": "a..b"}, "DnsProbe.query_name", "empty label"),
        ({"query_name": "x" * 64}, "DnsProbe.query_name", "63"),
        ({"query_type": "ANY"}, "DnsProbe.query_type", "AAAA"),
        ({"expect": DnsExpect(answers=("::1",))}, "DnsProbe.expect.answers", "type A"),
        ({"expect": DnsExpect(answers=("example.org",))}, "DnsProbe.expect.answers", "type A"),
    ],
)
def test_what_cannot_be_asked_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        DnsProbe(**{"target": "10.0.0.1:53", "query_name": "example.org", **refused})
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("refused", "where"),
    [
        ({"rcode": "NOPE"}, "DnsExpect.rcode"),
        ({"rcode": "NXDOMAIN", "answers": ("192.0.2.1",)}, "DnsExpect.answers"),
        ({"answers": ("192.0.2.1",) * 33}, "DnsExpect.answers"),
        ({"min_answers": -1}, "DnsExpect.min_answers"),
        ({"min_ttl": "8d"}, "DnsExpect.min_ttl"),
        ({"min_ttl": "soon"}, "DnsExpect.min_ttl"),
    ],
)
def test_expectations_that_cannot_be_met_are_refused(refused: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DnsExpect(**refused)
    assert caught.value.where == where


def test_an_international_name_is_asked_for_in_ascii() -> None:
    assert DnsProbe("10.0.0.1", "bücher.example").query_name == "bücher.example"


def test_probes_can_be_compared_and_hashed() -> None:
    assert DnsProbe("10.0.0.1", "a") == DnsProbe("10.0.0.1", "a")
    assert len({DnsProbe("10.0.0.1", "a"), DnsProbe("10.0.0.1", "a"), DnsProbe("10.0.0.1", "b")}) == 2


def _other(query_type: str) -> str:
    return {"A": "192.0.2.9", "AAAA": "::9", "MX": "10 other", "SRV": "1 2 3 other"}.get(query_type, "other")
