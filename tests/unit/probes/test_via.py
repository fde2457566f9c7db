"""The way to a target as a value: what it accepts, which addresses it takes, what it compiles to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.http import HttpProbe
from meshkit_fastprobe.probes.tcp import TcpProbe
from meshkit_fastprobe.probes.via import ANY_WAY, Ip, Via, order

IPS: list[Ip] = ["any", "ipv4", "ipv6", "prefer_ipv4", "prefer_ipv6"]
ADDRESSES = st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "::1", "::2", "::3"]), unique=True)


@pytest.mark.parametrize(
    ("refused", "where"),
    [
        ({"source": "localhost"}, "Via.source"),
        ({"source": "127.0.0.1:80"}, "Via.source"),
        ({"interface": "sixteen-letters!"}, "Via.interface"),
        ({"interface": "a\0b"}, "Via.interface"),
        ({"mark": -1}, "Via.mark"),
        ({"mark": 1 << 32}, "Via.mark"),
        ({"tos": 256}, "Via.tos"),
        ({"ip": "ipv5"}, "Via.ip"),
        ({"source": "::1", "ip": "ipv4"}, "Via.ip"),
    ],
)
def test_what_cannot_be_is_refused_when_made(refused: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Via(**refused)
    assert caught.value.where == where
    assert caught.value.fix


@pytest.mark.parametrize(
    ("target", "via", "where"),
    [
        ("127.0.0.1:80", Via(source="::1"), "TcpProbe.via.source"),
        ("[::1]:80", Via(source="127.0.0.1"), "TcpProbe.via.source"),
        ("[::1]:80", Via(ip="ipv4"), "TcpProbe.via.ip"),
        ("unix:/run/a.sock", Via(tos=8), "TcpProbe.via"),
    ],
)
def test_a_target_that_no_packet_could_reach_this_way_is_refused(target: str, via: Via, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TcpProbe(target, via=via)
    assert caught.value.where == where


def test_a_preference_refuses_no_literal_address() -> None:
    assert TcpProbe("[::1]:80", via=Via(ip="prefer_ipv4")).compile("::1", 80).nbytes > 0


def test_a_source_narrows_the_addresses_that_are_wanted() -> None:
    assert [Via(source="127.0.0.2").wanted, Via(source="::1").wanted, Via(ip="prefer_ipv6").wanted] == [
        "ipv4",
        "ipv6",
        "prefer_ipv6",
    ]


def test_targets_share_the_route_that_is_the_same() -> None:
    assert Via(tos=8).route() is Via(tos=8, ip="ipv4").route()
    assert Via(tos=8).route() is not Via(tos=16).route()
    assert ANY_WAY.route() is None


def test_both_kinds_compile_with_a_way() -> None:
    via = Via(source="127.0.0.9", interface="lo", mark=1, tos=8)
    assert TcpProbe("127.0.0.1:80", via=via).compile("127.0.0.1", 80).nbytes > 0
    assert HttpProbe("http://127.0.0.1/", via=via).compile("127.0.0.1", 80).nbytes > 0


def test_half_a_handshake_is_for_networks() -> None:
    with pytest.raises(ConfigError, match="no handshake"):
        TcpProbe("unix:/run/a.sock", handshake="half")
    with pytest.raises(ConfigError, match="not known"):
        TcpProbe("a:1", handshake="most")  # type: ignore[arg-type]  # what people write


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("any", ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]),
        ("prefer_ipv6", ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]),
        ("prefer_ipv4", ["10.0.0.1", "::1", "10.0.0.2", "::2", "::3"]),
        ("ipv4", ["10.0.0.1", "10.0.0.2"]),
        ("ipv6", ["::1", "::2", "::3"]),
    ],
)
def test_families_take_turns_and_the_preferred_one_begins(ip: Ip, expected: list[str]) -> None:
    assert order(["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"], ip) == expected


@given(ADDRESSES, st.sampled_from(IPS))
def test_ordering_loses_nothing_and_keeps_each_familys_order(addresses: list[str], ip: Ip) -> None:
    ordered = order(addresses, ip)
    for six in (False, True):
        of_family = [address for address in addresses if (":" in address) is six]
        kept = [address for address in ordered if (":" in address) is six]
        assert kept == ([] if ip == ("ipv4" if six else "ipv6") else of_family)
