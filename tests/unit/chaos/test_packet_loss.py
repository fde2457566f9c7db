"""The keys of packet_loss, what it refuses to hurt, and what its plans are read back from. No kernel is asked."""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.faults.base import FaultError, FaultPlan
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.network import table
from meshkit_fastprobe.chaos.network.endpoints import parse_endpoints
from meshkit_fastprobe.chaos.network.netlink import KernelRefusedError, attribute, attributes, pairs
from meshkit_fastprobe.chaos.network.nft import has_elements, packets_touched, table_told
from meshkit_fastprobe.chaos.network.protection import endpoints_among, refuse_protected
from meshkit_fastprobe.errors import ConfigError


class Host:
    name = "here"
    points: Mapping[str, Any] = {}
    state_dir: Path | None = None

    def __init__(self, protected: list[str] | None = None) -> None:
        self._protected = protected

    def service(self, key: str) -> object:
        if key != "protected" or self._protected is None:
            raise KeyError(key)
        return self._protected

    @property
    def offered(self) -> Collection[str]:
        return () if self._protected is None else ("protected",)


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"ratio": 0.0}, "ratio"),
        ({"ratio": 1.01}, "ratio"),
        ({"ratio": math.nan}, "ratio"),
        ({"targets": ()}, "targets"),
        ({"targets": ("10.0.0.7;reboot",)}, "targets[0]"),
        ({"targets": tuple(f"10.0.0.{n}" for n in range(65))}, "targets"),
        ({"targets": ("10.0.0.7:53",), "protocol": "icmp"}, "targets"),
        ({"protocol": "tcp drop; #"}, "protocol"),
        ({"direction": "sideways"}, "direction"),
        ({"burst": 0}, "burst"),
        ({"sockets": "orders", "direction": "out"}, "sockets"),
        ({"sockets": "orders", "burst": 2}, "sockets"),
        ({"sockets": "orders", "targets": (), "protocol": "udp"}, "sockets"),
        ({"proxy": "dns", "protocol": "tcp"}, "proxy"),
        ({"proxy": "dns", "targets": (), "protocol": "udp"}, "proxy"),
        ({"sockets": "orders", "targets": (), "burst": 2}, "sockets"),
    ],
)
def test_what_cannot_be_is_refused_at_its_key(keys: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as told:
        PacketLoss(**{"ratio": 0.3, "targets": ("10.0.0.7",), **keys})
    assert told.value.where == f"PacketLoss.{where}"


def test_keys_are_read_as_they_stand_in_a_file() -> None:
    fault = msgspec.convert({"ratio": 1, "targets": ["10.0.0.7:5432"], "burst": 3}, PacketLoss)
    assert fault.targets == ("10.0.0.7:5432",)
    assert fault.direction == "in"


@pytest.mark.parametrize("target", ["10.0.0.9:2379", "10.0.0.0/8", "127.0.0.1:9464", "127.0.0.0/8:9464", "[::1]:9464", "::1"])
def test_the_way_to_the_control_plane_is_no_target_however_broad(target: str) -> None:
    host = Host(["0.0.0.0:9464", "[::]:9464", "10.0.0.9:2379"])
    with pytest.raises(FaultError, match="is controlled"):
        refuse_protected(host, parse_endpoints("here", [target]), broad=True)


def test_everything_has_to_be_meant() -> None:
    everything = parse_endpoints("here", ["0.0.0.0/0"])
    with pytest.raises(FaultError, match="broad = true"):
        refuse_protected(Host(), everything, broad=False)
    assert refuse_protected(Host(), everything, broad=True) == ()


def test_ports_of_the_control_plane_are_spared_beside_targets_that_are_allowed() -> None:
    host = Host(["0.0.0.0:9464", "10.0.0.9:2379"])
    assert refuse_protected(host, parse_endpoints("here", ["10.0.0.7"]), broad=False) == (2379, 9464)


@pytest.mark.parametrize(
    "table", ["", "filter", "meshkit_", "meshkit_a;$(id)", "meshkit_a\n", "meshkit_A", "meshkit_é", "meshkit_a b"]
)
async def test_no_step_takes_a_table_that_is_not_named_as_ours_are(table: str) -> None:
    fault = PacketLoss(ratio=0.3, targets=("10.0.0.7",))
    handle = {"table": table, "spared": ""}
    plan = FaultPlan(
        kind="packet_loss", backend="nftables", mark="a", targets=(), resources=(), handle=handle, manual="", local=False
    )
    host = Host()
    for step in (fault.apply, fault.verify, fault.renew, fault.revert, fault.is_gone):
        with pytest.raises(FaultError, match="no name of a table of ours"):
            await step(host, plan)


@given(st.binary(max_size=200))
def test_answers_of_the_kernel_that_make_no_sense_are_read_calmly(data: bytes) -> None:
    assert sum(len(value) for _, value in pairs(data)) <= len(data)
    table_told(data)
    packets_touched(data)
    has_elements([data])


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_are_read_back_as_they_were_written(written: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(number, value) for number, value in written)
    assert list(pairs(data)) == written
    assert attributes(data) == dict(written)


def test_an_address_among_the_protected_globs_is_kept_out_of_every_network_that_covers_it():
    assert endpoints_among(["10.0.0.7:2379", "10.9.0.0/16", "pay-*", "[::1]:443"]) == (
        "10.0.0.7:2379",
        "10.9.0.0/16",
        "[::1]:443",
    )
    host = Host(protected=list(endpoints_among(["*:2379", "10.9.0.7"])))
    for text in ("10.0.0.0/24", "10.0.0.7:2379", "[2001:db8::7]:2379", "10.9.0.0/24:80"):
        with pytest.raises(FaultError, match="by which this host is controlled"):
            refuse_protected(host, parse_endpoints("targets", [text]), broad=False)
    refuse_protected(host, parse_endpoints("targets", ["10.0.0.0/24:5432"]), broad=False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EPERM, "no"), "CAP_NET_ADMIN in this network namespace"),
        (KernelRefusedError(errno.EOPNOTSUPP, table.REHEARSED_TABLE), "no tables with an owner: it takes Linux 5.12"),
        (KernelRefusedError(errno.ENOENT, table.REHEARSED_RULE), "lacks an expression .*modprobe nft_numgen"),
        (OSError(errno.EPROTONOSUPPORT, "no"), "has no nf_tables"),
    ],
    ids=str,
)
async def test_what_a_kernel_lacks_is_told_with_what_would_help(
    monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def refused(_action: object) -> None:
        raise error

    monkeypatch.setattr(table, "rehearse", refused)
    told = (await PacketLoss.ways(Host()))[0]
    assert (told.name, told.available) == ("nftables", False)
    assert re.search(words, told.reason)
