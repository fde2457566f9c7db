"""The TCP kind as a value: what it accepts, where it connects, what it compiles to."""

from __future__ import annotations

import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane
from meshkit_fastprobe.probes.base import Endpoint, NativeProbe, lane_of
from meshkit_fastprobe.probes.tcp import TcpProbe


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        ("10.0.0.7:5432", ("10.0.0.7", 5432)),
        ("[::1]:80", ("::1", 80)),
        ("db.example.org:5432", ("db.example.org", 5432)),
        ("unix:/run/db.sock", "/run/db.sock"),
        ("unix:@db", "@db"),
    ],
)
def test_the_endpoint_is_where_to_connect(target: str, endpoint: Endpoint) -> None:
    assert TcpProbe(target).endpoint == endpoint


@pytest.mark.parametrize("target", ["10.0.0.7", "10.0.0.7:0", "unix:", "unix:relative", "http://10.0.0.7:80", ""])
def test_a_target_that_cannot_be_is_refused_when_made(target: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TcpProbe(target)
    assert caught.value.where == "TcpProbe.target"
    assert caught.value.fix


@pytest.mark.parametrize("address", [("127.0.0.1", 80), ("::1", 80), ("/run/db.sock", 0), ("@db", 0)])
def test_every_sort_of_address_compiles(address: tuple[str, int]) -> None:
    assert TcpProbe("db:80").compile(*address).nbytes > 0


def test_an_address_whose_interface_is_gone_compiles_to_an_unreachable_target() -> None:
    assert TcpProbe("[fe80::1%nosuchif]:80").compile("fe80::1%nosuchif", 80).nbytes > 0


def test_it_runs_in_the_native_lane() -> None:
    assert isinstance(TcpProbe("a:1"), NativeProbe)
    assert lane_of(TcpProbe) is Lane.NATIVE


def test_probes_are_values() -> None:
    assert TcpProbe("a:1") == TcpProbe("a:1")
    assert len({TcpProbe("a:1"), TcpProbe("a:1"), TcpProbe("a:2")}) == 2
