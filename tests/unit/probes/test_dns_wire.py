"""Names and record data become the bytes that messages have, or are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.probes.dns_wire import TYPES, NotDnsError, encode_data, encode_name, split_name


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        wire = encode_name(text)
    except NotDnsError:
        return
    assert len(wire) <= 255


@pytest.mark.parametrize("name", ["a..b", ".a", "a" * 64, ".".join(["a" * 63] * 4), "a\\", "b\\256", "ä.example"])
def test_what_is_no_domain_name_is_refused(name: str) -> None:
    with pytest.raises(NotDnsError):
        encode_name(name)


def test_a_dot_at_the_end_changes_nothing() -> None:
    assert encode_name("example.org.") == encode_name("example.org")
    assert encode_name(".") == encode_name("") == b"\0"


def test_an_escaped_dot_belongs_to_its_label() -> None:
    assert split_name(r"a\.b.c\032d") == [b"a.b", b"c d"]


@pytest.mark.parametrize(
    ("query_type", "data", "wire"),
    [
        ("A", "192.0.2.1", b"\xc0\x00\x02\x01"),
        ("AAAA", "2001:0db8:0::1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
        ("NS", "ns.example", b"\x02ns\x07example\x00"),
        ("MX", "10 mail", b"\x00\x0a\x04mail\x00"),
        ("SRV", "1 2 443 a", b"\x00\x01\x00\x02\x01\xbb\x01a\x00"),
        ("TXT", "v=spf1", b"\x06v=spf1"),
        ("TXT", "", b"\x00"),
        ("TXT", "x" * 256, b"\xff" + b"x" * 255 + b"\x01x"),
    ],
)
def test_data_has_the_bytes_of_its_type(query_type: str, data: str, wire: bytes) -> None:
    assert encode_data(TYPES[query_type], data) == wire


@pytest.mark.parametrize(
    ("query_type", "data"), [("A", "1.2.3"), ("MX", "mail.example.org"), ("SRV", "1 2 70000 a"), ("NS", "a..b")]
)
def test_data_that_cannot_be_written_is_refused(query_type: str, data: str) -> None:
    with pytest.raises(NotDnsError):
        encode_data(TYPES[query_type], data)
