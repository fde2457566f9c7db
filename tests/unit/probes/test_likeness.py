"""Probes that differ in their targets alone are kept once, and come back as they were."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec
import pytest

from meshkit_fastprobe import Diagnostics, HttpProbe, Settings, TcpProbe
from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.probes.base import Probe
from meshkit_fastprobe.probes.likeness import Likenesses


def default_name(probe: Probe) -> str:
    return f"{probe.kind}:{probe.target}"


def kept(*probes: Probe) -> list[Probe]:
    likenesses = Likenesses()
    return [likenesses.of(default_name(probe), probe)[0] for probe in probes]


def test_those_that_differ_in_their_targets_alone_share_the_first() -> None:
    first, *others = kept(*(TcpProbe(f"10.0.0.{n}:80") for n in range(3)))
    assert all(other is first for other in others)


@pytest.mark.parametrize(
    "other",
    [TcpProbe("10.0.0.1:80", handshake="half"), HttpProbe("http://10.0.0.1/", method="HEAD")],
)
def test_whatever_else_differs_sets_apart(other: Probe) -> None:
    assert kept(TcpProbe("10.0.0.1:80"), HttpProbe("http://10.0.0.1/"), other)[2] is other


def test_kinds_may_take_turns() -> None:
    probes = [TcpProbe("a:1"), HttpProbe("http://a/"), TcpProbe("b:1"), HttpProbe("http://b/")]
    assert kept(*probes) == [probes[0], probes[1], probes[0], probes[1]]


def test_a_name_of_its_own_keeps_the_probe_itself() -> None:
    likenesses = Likenesses()
    likenesses.of("tcp:a:1", TcpProbe("a:1"))
    probe = TcpProbe("b:1")
    assert likenesses.of("orders", probe) == (probe, 0)


class Mutable(msgspec.Struct):
    kind: ClassVar[str] = "mutable"
    target: str


class Derived(msgspec.Struct, frozen=True):
    kind: ClassVar[str] = "derived"
    host: str

    @property
    def target(self) -> str:
        return self.host

    @property
    def endpoint(self) -> tuple[str, int]:
        return self.host, 1

    def compile(self, host: str, port: int) -> Target:
        return Target.tcp(host, port)


@pytest.mark.parametrize("probe", [Mutable("a"), Derived("a")])
def test_a_kind_that_cannot_be_made_again_is_kept(probe: Probe) -> None:
    likenesses = Likenesses()
    likenesses.of(default_name(probe), probe)
    assert likenesses.of(default_name(probe), probe) == (probe, 0)


def test_a_catalog_gives_each_probe_back() -> None:
    probes: list[Probe] = [
        *(TcpProbe(f"10.0.0.{n}:80", handshake=handshake) for n, handshake in enumerate(_handshakes())),
        *(HttpProbe(f"http://10.0.0.{n}/up", headers={"x-probe": "1"}) for n in range(3)),
        TcpProbe("[::1]:80"),
        TcpProbe("unix:/run/a.sock"),
    ]
    diag = Diagnostics(Settings(host="test"))
    names = diag.add_many(probes)
    assert [diag.catalog[name].probe for name in names] == probes
    assert [diag.catalog[name].target for name in names] == [probe.target for probe in probes]
    assert [diag.catalog[name].kind for name in names] == [probe.kind for probe in probes]


def test_who_wants_to_know_a_kind_gets_no_probe_made_anew() -> None:
    diag = Diagnostics(Settings(host="test"))
    first, second = diag.add_many([TcpProbe("a:1"), TcpProbe("b:1")])
    assert diag.catalog[second].likeness is diag.catalog[first].likeness
    assert diag.catalog[second].probe is not diag.catalog[second].likeness


def _handshakes() -> list[Literal["full", "half"]]:
    return ["full", "full", "half", "full"]
