"""One experiment, several ways of making it: the best that its host has is taken, and why not the others is told."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.bench import Bench, offered_proxies
from meshkit_fastprobe.chaos.faults.base import Backing, FaultError, best
from meshkit_fastprobe.chaos.faults.latency import Latency
from meshkit_fastprobe.experiments import ProxySettings
from meshkit_fastprobe.testing import Target, check_fault, loopback
from tests.integration.chaos.namespace import scene

pytestmark = pytest.mark.integration
linux = pytest.mark.skipif(sys.platform != "linux", reason="nftables is Linux's")
SCENES = "chosen_scenes.py"


def test_the_first_usable_is_the_best() -> None:
    backings = (
        Backing("a", usable=False, why="no"),
        Backing("b", usable=True, why="yes"),
        Backing("c", usable=True, why="yes"),
    )
    assert best(backings).name == "b"
    with pytest.raises(FaultError, match=r"^a: no; b: never$"):
        best((backings[0], Backing("b", usable=False, why="never")))


@linux
@pytest.mark.parametrize("kind", ["packet_loss", "packet_delay"])
def test_where_no_way_is_left_each_is_named_with_its_reason(kind: str) -> None:
    told = scene(SCENES, "refused", kind, privileged=False)
    names = {"packet_loss": ["nftables", "sockets", "proxy", "netem"], "packet_delay": ["nfqueue", "proxy", "netem"]}[kind]
    assert [name for name in names if f"{name}: " not in told] == []
    assert "CAP_NET_ADMIN" in told
    assert "names no proxy" in told


@linux
def test_the_kernel_is_the_best_way_where_it_may_be_asked() -> None:
    told = scene(SCENES, "lose_through_proxy")
    assert told["backend"] == "nftables"
    assert told["usable"] == ["nftables", "proxy"]
    assert (told["during"], told["after"], told["gone"]) == (0, 3, True)


@linux
def test_without_the_capability_the_proxy_in_front_of_the_target_loses_its_datagrams() -> None:
    told = scene(SCENES, "lose_through_proxy", privileged=False)
    assert told["backend"] == "proxy"
    assert told["local"]
    assert "CAP_NET_ADMIN" in told["why"]["nftables"]
    assert (told["during"], told["after"], told["gone"]) == (0, 3, True)
    assert told["touched"] > 0
    assert told["found"] == ["chosen"]


@linux
def test_by_whatever_way_what_is_protected_and_what_is_taken_is_compared_with_the_target() -> None:
    """A glob of [chaos] protected that fits it refuses all ways, and two experiments do not hurt it in two ways at once."""
    for privileged, others in ((True, {"127.0.0.9"}), (False, set())):  # which the proxy is not in front of
        told = scene(SCENES, "lose_through_proxy", privileged=privileged)
        assert {"127.0.0.1:9999"} | others <= set(told["targets"])
        assert "packets:127.0.0.1:9999" in told["resources"]
        assert ("127.0.0.9" in told["targets"]) == privileged
    assert "127.0.0.0/30:9999" in scene(SCENES, "lose_on_sockets", False, privileged=False)["targets"]


@linux
def test_without_the_capability_sockets_of_the_program_lose_what_comes_from_the_target() -> None:
    told = scene(SCENES, "lose_on_sockets", False, privileged=False)
    assert (told["backend"], told["touched"], told["gone"]) == ("sockets", 100, True)


@linux
def test_a_group_that_talks_to_others_too_is_no_way_of_hurting_the_target() -> None:
    told = scene(SCENES, "lose_on_sockets", True, privileged=False)
    assert not told["usable"]
    assert told["why"].endswith("belong to none of the targets: 1")


@linux
@pytest.mark.parametrize("privileged", [True, False])
def test_packets_are_held_back_by_a_queue_or_else_by_a_proxy_in_front_of_the_target(privileged: bool) -> None:
    told = scene(SCENES, "delay_through_proxy", privileged=privileged)
    assert told["backend"] == ("nfqueue" if privileged else "proxy")
    assert told["wrong"] == "the proxy 'db' is for tcp, and this is a fault of udp"
    assert "none of the targets" in told["elsewhere"]


@linux
@pytest.mark.parametrize("privileged", [True, False])
def test_what_is_protected_is_refused_by_whatever_way(privileged: bool) -> None:
    assert "by which this host is controlled" in scene(SCENES, "protected", privileged=privileged)


async def test_a_point_that_the_program_passes_is_better_than_a_proxy_in_front_of_the_same() -> None:
    fault = Latency(delay="1ms", point="orders.call", proxy="db")
    with loopback(Target("tcp", "healthy")) as [target]:
        settings = ProxySettings(name="db", listen="127.0.0.1:0", upstream=target.address)
        for points, backend in (({"orders.call": InjectionPoint("orders.call")}, "injection point"), ({}, "proxy")):
            host: Any = Bench("here", points, None)
            async with offered_proxies(host, [settings]):
                assert (await fault.plan(host, "chosen")).backend == backend
                await check_fault(fault, host)
    with pytest.raises(FaultError, match=r"injection point: no code here .*; proxy: there is no proxy 'db'"):
        await fault.plan(Bench("here", {}, None), "chosen")
