"""What a DNS probe makes of an answer, and what it refuses to be. Sockets are in tests/integration."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.dns import DnsExpect, DnsProbe, RecordType, judge, matches
from meshkit_fastprobe.probes.dns_message import TYPES, Message, Question, Record, query, reply

ASKED = query(7, Question("example.org", TYPES["A"]))


def _answer(*data: str, query_type: str = "A", rcode: str = "NOERROR") -> Message:
    return reply(ASKED, tuple(Record("example.org", TYPES[query_type], 60, text) for text in data), rcode=rcode)


def test_an_answer_passes() -> None:
    assert judge(_answer("192.0.2.1"), "A", DnsExpect()) == Outcome()


def test_no_answer_of_the_type_fails() -> None:
    outcome = judge(_answer("other.example.org", query_type="CNAME"), "A", DnsExpect())
    assert (outcome.result, outcome.reason) == (Result.FAIL, Reason.DNS_MISMATCH)


def test_no_answer_passes_where_none_is_needed() -> None:
    assert judge(_answer(), "A", DnsExpect(min_answers=0)) == Outcome()


@pytest.mark.parametrize(
    ("rcode", "reason", "detail"),
    [("NXDOMAIN", Reason.DNS_NXDOMAIN, 3), ("SERVFAIL", Reason.DNS_FAILURE, 2), ("REFUSED", Reason.DNS_FAILURE, 5)],
)
def test_another_response_code_fails_with_it(rcode: str, reason: Reason, detail: int) -> None:
    outcome = judge(_answer(rcode=rcode), "A", DnsExpect())
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.FAIL, reason, detail)
    assert rcode in outcome.message


def test_an_expected_failure_passes_and_a_success_in_its_place_fails() -> None:
    gone = DnsExpect(rcode="NXDOMAIN")
    assert judge(_answer(rcode="NXDOMAIN"), "A", gone) == Outcome()
    assert judge(_answer("192.0.2.1"), "A", gone).reason is Reason.DNS_MISMATCH


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
    assert judge(_answer(answered, query_type=query_type), query_type, expect) == Outcome()
    assert judge(_answer(_other(query_type), query_type=query_type), query_type, expect).reason is Reason.DNS_MISMATCH


def test_a_reply_to_something_else_does_not_match() -> None:
    assert matches(ASKED, _answer())
    assert matches(ASKED, msgspec.structs.replace(_answer(), question=Question("EXAMPLE.org", 1)))
    assert not matches(ASKED, ASKED)
    assert not matches(ASKED, msgspec.structs.replace(_answer(), id=8))
    assert not matches(ASKED, msgspec.structs.replace(_answer(), question=Question("example.com", 1)))
    assert not matches(ASKED, msgspec.structs.replace(_answer(), question=Question("example.org", 28)))


def test_a_reply_without_the_question_matches_only_when_it_is_an_error() -> None:
    assert matches(ASKED, msgspec.structs.replace(_answer(rcode="FORMERR"), question=None))
    assert not matches(ASKED, msgspec.structs.replace(_answer(), question=None))


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
