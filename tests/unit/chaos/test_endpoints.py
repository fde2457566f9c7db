"""Addresses as people write them: read as what packets carry, or refused with the fix."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.network.endpoints import Endpoint, parse_endpoint, parse_endpoints, too_broad
from meshkit_fastprobe.errors import ConfigError

networks = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.7:5432", "10.0.0.7:5432"),
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7/32", "10.0.0.7"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("10.0.0.0/8:53", "10.0.0.0/8:53"),
        ("[2001:DB8:0::7]:443", "[2001:db8::7]:443"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::/32]:443", "[2001:db8::/32]:443"),
    ],
)
def test_an_endpoint_has_one_way_to_be_written(text: str, canonical: str) -> None:
    assert str(parse_endpoint("here", text)) == canonical


@given(networks, st.integers(0, 65535))
def test_what_is_written_is_read_back(network: ipaddress.IPv4Network | ipaddress.IPv6Network, port: int) -> None:
    endpoint = Endpoint(network, port)
    assume(not str(network).startswith("::ffff:"))
    assert parse_endpoint("here", str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "db.internal:5432",
        "10.0.0.7:0",
        "10.0.0.7:65536",
        "10.0.0.7/8",
        "10.0.0.7:5432;$(id)",
        "10.0.0.7:5432\n",
        "10.0.0.7\n",
        " 10.0.0.7",
        "10.0.0.7 } ; flush ruleset ; add rule inet x y { ",
        "10.0.0.07",
        "10.7",
        "\uff11\uff10.0.0.7",  # digits, in full width
        "10.0.0.7:\uff15",
        "2001:db8::7:443:1:1:1:1:1",
        "[10.0.0.7",
        "fe80::1%eth0",
        "[fe80::1%eth0]:80",
        "::ffff:10.0.0.7",
        "[::ffff:127.0.0.1]:9464",
        "10.0.0.7:" + "1" * 1000,
    ],
)
def test_anything_else_is_refused_at_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^here: "):
        parse_endpoint("here", text)


def test_targets_are_sorted_and_each_is_there_once() -> None:
    written = ("[::1]:5", "10.0.0.7", "10.0.0.7/32", "9.0.0.0/8", "10.0.0.7:1")
    assert [str(one) for one in parse_endpoints("here", written)] == ["9.0.0.0/8", "10.0.0.7", "10.0.0.7:1", "[::1]:5"]


@pytest.mark.parametrize(
    ("one", "other", "touch"),
    [
        ("10.0.0.0/8", "10.0.0.7:2379", True),
        ("10.0.0.7:2379", "10.0.0.7:2379", True),
        ("10.0.0.7:2380", "10.0.0.7:2379", False),
        ("10.0.0.8", "10.0.0.7", False),
        ("10.0.0.7", "2001:db8::7", False),
    ],
)
def test_endpoints_touch_when_a_packet_could_be_to_both(one: str, other: str, touch: bool) -> None:
    assert parse_endpoint("a", one).touches(parse_endpoint("b", other)) is touch
    assert parse_endpoint("b", other).touches(parse_endpoint("a", one)) is touch


@pytest.mark.parametrize(
    ("text", "broad"),
    [
        ("0.0.0.0/0", True),
        ("::/0", True),
        ("0.0.0.0/0:80", True),
        ("127.0.0.0/8", True),
        ("126.0.0.0/7", True),
        ("::1", True),
        ("127.0.0.1:80", False),
        ("127.0.0.1", False),
        ("127.0.0.0/8:80", False),
        ("10.0.0.0/8", False),
    ],
)
def test_everything_and_all_of_loopback_are_too_broad(text: str, broad: bool) -> None:
    assert (too_broad(parse_endpoint("here", text)) is not None) is broad
