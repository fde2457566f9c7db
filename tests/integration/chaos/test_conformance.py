"""Every kind of fault passes the checks of conformance; and one that does not undo itself is told by its rule."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import msgspec
import pytest

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.bench import Bench, offered_proxies
from meshkit_fastprobe.chaos.children import ManagedChild
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultPlan, Way
from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.chaos.restart_budget import RestartBudget
from meshkit_fastprobe.experiments import ProxySettings
from meshkit_fastprobe.testing import ConformanceError, Target, check_fault, loopback
from tests.integration.chaos.namespace import scene

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="nftables and pidfd are Linux's")]

SLEEP = ["sleep", "3600"]
AT_POINTS = [("latency", {"delay": "1ms"}), ("error", {})]
THROUGH_PROXIES = [
    ("latency", {"delay": "1ms"}),
    ("bandwidth", {"bytes_per_s": 1000.0}),
    ("blackhole", {}),
    ("reset", {}),
]
OF_PROCESSES = ("pause", "restart")
OF_PACKETS = ("packet_loss", "packet_delay")


def made(kind: str, **keys: Any) -> Any:
    return msgspec.convert(keys, builtin_faults[kind])


def bench() -> Bench:
    return Bench("here", {"orders.call": InjectionPoint("orders.call")}, None)


def test_no_kind_is_left_out() -> None:
    kinds = {kind for kind, _ in AT_POINTS + THROUGH_PROXIES}
    assert kinds | {"null", *OF_PROCESSES, *OF_PACKETS} == set(builtin_faults)


async def test_nothing_conforms() -> None:
    await check_fault(made("null"), bench())


@pytest.mark.parametrize(("kind", "keys"), AT_POINTS)
async def test_a_fault_at_a_point_conforms(kind: str, keys: dict[str, Any]) -> None:
    await check_fault(made(kind, point="orders.call", **keys), bench())


@pytest.mark.parametrize(("kind", "keys"), THROUGH_PROXIES)
async def test_a_fault_through_a_proxy_conforms(kind: str, keys: dict[str, Any]) -> None:
    host = bench()
    with loopback(Target("tcp", "healthy")) as [target]:
        settings = ProxySettings(name="db", listen="127.0.0.1:0", upstream=target.address)
        async with offered_proxies(host, [settings]):
            await check_fault(made(kind, proxy="db", **keys), host)


async def test_a_loss_of_datagrams_through_a_proxy_conforms() -> None:
    host = bench()
    with loopback(Target("dns", "healthy")) as [target]:
        settings = ProxySettings(name="dns", listen="127.0.0.1:0", upstream=target.address, protocol="udp")
        async with offered_proxies(host, [settings]):
            await check_fault(made("packet_loss", proxy="dns", ratio=0.3), host)


async def test_a_pause_conforms() -> None:
    async with ManagedChild(SLEEP, grace_s=0.2) as child:
        assert child.identity is not None
        await check_fault(made("pause", target=f"pid:{child.identity.pid}"), bench())


async def test_a_restart_conforms() -> None:
    host = bench()
    host.offer("restart_budget", RestartBudget())
    async with ManagedChild(SLEEP, grace_s=0.2) as child:
        host.offer("child:worker", child)
        await check_fault(made("restart", target="child:worker"), host)


@pytest.mark.parametrize("kind", OF_PACKETS)
def test_a_fault_of_packets_conforms(kind: str) -> None:
    assert scene(f"{kind}_scenes.py", "conforms") == "it does"


class Sticky(msgspec.Struct, frozen=True, kw_only=True):
    """Says that it is undone, and is not."""

    kind: ClassVar[str] = "sticky"
    lasts: ClassVar[bool] = True
    on: ClassVar[set[str]] = set()

    async def preflight(self, _host: Any) -> tuple[Backing, ...]:
        return (Backing("memory", usable=True, why="always"),)

    async def plan(self, _host: Any, mark: str) -> FaultPlan:
        return FaultPlan(
            kind="sticky", backend="memory", mark=mark, targets=("it",), resources=("it",), handle={"it": mark}, manual="wait"
        )

    async def apply(self, _host: Any, plan: FaultPlan) -> None:
        self.on.add(plan.mark)

    async def verify(self, _host: Any, plan: FaultPlan) -> Effect:
        return Effect(plan.mark in self.on, None, "as it is")

    @classmethod
    async def revert(cls, _host: Any, plan: FaultPlan) -> None: ...

    @classmethod
    async def is_gone(cls, _host: Any, plan: FaultPlan) -> bool:
        return plan.mark not in cls.on

    @classmethod
    async def scan(cls, _host: Any) -> tuple[FaultPlan, ...]:
        return ()


async def test_what_does_not_undo_itself_is_told_by_the_rule() -> None:
    with pytest.raises(ConformanceError, match="sticky: it is not gone after it was undone"):
        await check_fault(Sticky(), bench())


async def test_a_way_that_only_preflight_knows_is_told_by_the_rule() -> None:
    class Elsewhere(Sticky, frozen=True, kw_only=True):
        @classmethod
        async def ways(cls, _host: Any) -> tuple[Way, ...]:
            return (Way("disk", available=True, reason="always"),)

    with pytest.raises(ConformanceError, match=r"preflight tells of a way that ways\(\) does not: memory"):
        await check_fault(Elsewhere(), bench())
