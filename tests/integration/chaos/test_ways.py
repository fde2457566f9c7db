"""Which ways of making its faults a host has, asked without saying whom to hurt; and why it lacks the others."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.bench import Bench, offered_proxies
from meshkit_fastprobe.chaos.faults.base import Way
from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry
from meshkit_fastprobe.chaos.network.socket_group import SocketGroup
from meshkit_fastprobe.chaos.surveying import ASK_S, Survey
from meshkit_fastprobe.experiments import ProxySettings
from tests.integration.chaos.conftest import host, null
from tests.integration.chaos.namespace import scene

pytestmark = pytest.mark.integration
linux = pytest.mark.skipif(sys.platform != "linux", reason="nftables is Linux's")


def bench() -> Bench:
    return Bench("here", {}, None)


async def ways(kind: str, host: Any) -> dict[str, Way]:
    return {way.name: way for way in (await Survey().ways(builtin_faults, host))[kind]}


@pytest.mark.parametrize("kind", builtin_faults)
async def test_every_kind_that_comes_with_us_tells_its_ways_as_any_other_would(kind: str) -> None:
    told = await ways(kind, bench())
    assert told
    assert all(way.reason for way in told.values())


async def test_what_lives_in_the_program_is_available_once_the_program_has_it() -> None:
    empty = bench()
    assert not (await ways("error", empty))["injection point"].available
    assert not (await ways("latency", empty))["proxy"].available
    assert not (await ways("packet_loss", empty))["sockets"].available
    served = Bench("here", {"orders.call": InjectionPoint("orders.call")}, None)
    served.offer("sockets:orders", SocketGroup("orders"))
    async with offered_proxies(served, [ProxySettings(name="db", listen="127.0.0.1:0", upstream="127.0.0.1:9")]):
        assert (await ways("error", served))["injection point"] == Way("injection point", True, "points: 1")
        assert (await ways("latency", served))["proxy"] == Way("proxy", True, "proxies: 1")
        assert (await ways("packet_loss", served))["sockets"] == Way("sockets", True, "groups: 1")
        proxy = (await ways("packet_loss", served))["proxy"]
    assert (proxy.available, proxy.reason) == (False, "there is none for udp; add [[chaos.proxy]]")


@linux
def test_the_kernel_is_asked_and_keeps_nothing() -> None:
    told = scene("ways_scenes.py", "told")
    assert told["packet_loss"]["nftables"][0]
    assert told["packet_delay"]["nfqueue"][0]
    assert scene("ways_scenes.py", "tables_after") == []


@linux
def test_without_the_capability_the_kernels_ways_say_so_and_the_others_do_not_care() -> None:
    told = scene("ways_scenes.py", "told", privileged=False)
    for kind, way in (("packet_loss", "nftables"), ("packet_delay", "nfqueue")):
        available, reason = told[kind][way]
        assert not available
        assert "CAP_NET_ADMIN in this network namespace" in reason
    assert told["null"]["memory"][0]


@linux
@pytest.mark.parametrize("kind", ["packet_loss", "packet_delay"])
async def test_netem_is_named_with_why_it_is_never_taken(kind: str) -> None:
    netem = (await ways(kind, bench()))["netem"]
    assert not netem.available
    assert "sch_netem" in netem.reason
    assert "not used" in netem.reason


# -- a survey ------------------------------------------------------------------------------------------------------------


def of_a_module(ask: Any) -> FaultRegistry:
    class Theirs(Null, frozen=True, kw_only=True):
        kind: ClassVar[str] = "theirs"

        @classmethod
        async def ways(cls, host: Any) -> tuple[Way, ...]:
            return await ask(host)

    registry = FaultRegistry()
    registry.register(Theirs)
    return registry


def slowly(asked: list[int]) -> Any:
    """A way that takes its time to tell, and counts who asked."""

    async def ask(_host: Any) -> tuple[Way, ...]:
        asked.append(1)
        await trio.sleep(0.1)
        return (Way("one", True, "here"),)

    return ask


async def test_who_asks_again_soon_is_told_what_was_found(mock_clock: Any) -> None:
    asked: list[int] = []
    survey, registry, here = Survey(), of_a_module(slowly(asked)), bench()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(survey.ways, registry, here)
    assert len(asked) == 1
    await trio.sleep(60)
    assert (await survey.ways(registry, here))["theirs"] == (Way("one", True, "here"),)
    assert len(asked) == 2


@pytest.mark.parametrize("after_s", [0.05, 0.2], ids=["while others are asked", "while what was found is fresh"])
async def test_a_kind_that_is_registered_meanwhile_is_asked_as_well(mock_clock: Any, after_s: float) -> None:
    asked: list[int] = []
    survey, registry, here = Survey(), of_a_module(slowly(asked)), bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(survey.ways, registry, here)
        await trio.sleep(after_s)
        registry.register(Null)
        told = await survey.ways(registry, here)
    assert set(told) == {"theirs", "null"}
    assert told["null"][0].available
    assert len(asked) == 1


async def test_a_kind_that_fails_or_never_answers_is_told_beside_the_others(mock_clock: Any) -> None:
    async def fails(_host: Any) -> tuple[Way, ...]:
        raise RuntimeError("a mistake")

    async def hangs(_host: Any) -> tuple[Way, ...]:
        await trio.sleep_forever()
        raise AssertionError

    for ask, words in ((fails, "RuntimeError"), (hangs, f"{ASK_S:g} s")):
        registry = of_a_module(ask)
        registry.register(Null)
        told = await Survey().ways(registry, bench())
        assert told["null"][0].available
        [way] = told["theirs"]
        assert not way.available
        assert words in way.reason


async def test_a_kind_that_tells_no_ways_has_none_to_show() -> None:
    class Silent(Null, frozen=True, kw_only=True):
        kind: ClassVar[str] = "silent"
        ways: ClassVar[Any] = None

    registry = FaultRegistry()
    registry.register(Silent)
    assert (await Survey().ways(registry, bench()))["silent"] == ()


# -- over HTTP -----------------------------------------------------------------------------------------------------------


async def test_the_catalogue_shows_the_ways_of_this_host(tmp_path: Any) -> None:
    def add(diag: fp.Diagnostics) -> None:
        diag.injection_point("orders.call")

    async with host(tmp_path, null("rehearsal"), add=add) as (_, client):
        items = {item["kind"]: item for item in (await client.get("/chaos/faults")).json()["items"]}
    assert items["null"]["ways"] == [{"name": "memory", "available": True, "reason": "touches nothing"}]
    assert {"name": "injection point", "available": True, "reason": "points: 1"} in items["error"]["ways"]
    assert {way["name"] for way in items["packet_loss"]["ways"]} == {"nftables", "sockets", "proxy", "netem"}


async def test_the_catalogue_shows_a_kind_that_a_module_registers_late(tmp_path: Any) -> None:
    class Late(Null, frozen=True, kw_only=True):
        """Comes late."""

        kind: ClassVar[str] = "late"

    def add(diag: fp.Diagnostics) -> None:
        diag.chaos.adopt(builtin_faults.copy())

    async with host(tmp_path, null("rehearsal"), add=add) as (diag, client):
        assert (await client.get("/chaos/faults")).status_code == 200
        diag.chaos.faults.register(Late)
        answer = await client.get("/chaos/faults")
    assert answer.status_code == 200, answer.text
    [late] = [item for item in answer.json()["items"] if item["kind"] == "late"]
    assert late["ways"] == [{"name": "memory", "available": True, "reason": "touches nothing"}]
