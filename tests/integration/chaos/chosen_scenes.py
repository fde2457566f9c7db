"""What tests of choosing among ways have happen in a namespace of their own, with and without the capability."""

from __future__ import annotations

import socket
import time
from typing import Any, cast

from namespace import Host, play

from meshkit_fastprobe.chaos.bench import offered_proxies
from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.packet_delay import PacketDelay
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.judging import planned_fault
from meshkit_fastprobe.chaos.network.socket_group import SocketGroup
from meshkit_fastprobe.chaos.proxies import Proxy
from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.experiments import Experiment, ProxySettings
from meshkit_fastprobe.testing import Target, check_fault, loopback

SENT = 100


async def refused(kind: str) -> str:
    """What is said when nothing here can do it."""
    fault = {
        "packet_loss": PacketLoss(targets=("127.0.0.1:9999",), ratio=1.0),
        "packet_delay": PacketDelay(targets=("127.0.0.1:9999",), delay="1ms"),
    }[kind]
    try:
        await planned_fault(Experiment(id="chosen", fault=fault, duration_s=10.0), Host())
    except ChaosRefusedError as error:
        return str(error)
    return ""


async def lose_through_proxy() -> dict[str, Any]:
    """Of what a proxy in front of the target carries back, while the fault is in force."""
    host = Host()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 9999))
        settings = ProxySettings(name="dns", listen="127.0.0.1:0", upstream="127.0.0.1:9999", protocol="udp")
        async with offered_proxies(host, [settings]):  # type: ignore[arg-type]  # what it uses of a bench, this has
            fault = PacketLoss(targets=("127.0.0.1:9999", "127.0.0.9"), ratio=1.0, protocol="udp", proxy="dns")
            backings = await fault.preflight(host)
            plan = await fault.plan(host, "chosen")
            await fault.apply(host, plan)
            during = _answered(host, server)
            effect = await fault.verify(host, plan)
            await fault.renew(host, plan)
            found = [one.mark for one in await PacketLoss.scan(host)]
            await PacketLoss.revert(host, plan)
            gone = await PacketLoss.is_gone(host, plan)
            after = _answered(host, server)
            await check_fault(fault, host)
    return {
        "backend": plan.backend,
        "targets": plan.targets,
        "resources": plan.resources,
        "local": plan.local,
        "usable": [backing.name for backing in backings if backing.usable],
        "why": {backing.name: backing.why for backing in backings},
        "during": during,
        "touched": effect.touched,
        "found": found,
        "gone": gone,
        "after": after,
    }


def _answered(host: Host, server: socket.socket) -> int:
    proxy = cast("Proxy", host.service("proxy:dns"))
    address, _, port = proxy.address.rpartition(":")
    answered = 0
    server.settimeout(0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, int(port)))
        client.settimeout(0.2)
        for number in range(3):
            client.send(b"%d" % number)
            try:
                data, sender = server.recvfrom(64)
                server.sendto(data, sender)
                client.recv(64)
            except TimeoutError:
                continue
            answered += 1
    return answered


async def lose_on_sockets(stranger: bool) -> dict[str, Any]:
    """Sockets of the program that talk to the target; and one more that does not."""
    group = SocketGroup("dns")
    host = Host(sockets__dns=group)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        server.bind(("127.0.0.1", 9999))
        client.connect(("127.0.0.1", 9999))
        other.connect(("127.0.0.1", 9998))
        group.add(client)
        if stranger:
            group.add(other)
        fault = PacketLoss(targets=("127.0.0.0/30:9999",), ratio=1.0, protocol="udp", sockets="dns")
        backings = {backing.name: backing for backing in await fault.preflight(host)}
        told: dict[str, Any] = {"usable": backings["sockets"].usable, "why": backings["sockets"].why}
        if not stranger:
            plan = await fault.plan(host, "chosen")
            told["backend"] = plan.backend
            told["targets"] = plan.targets
            await fault.apply(host, plan)
            for _ in range(SENT):
                server.sendto(b"?", client.getsockname())
            told["touched"] = (await fault.verify(host, plan)).touched
            await PacketLoss.revert(host, plan)
            told["gone"] = await PacketLoss.is_gone(host, plan)
            await check_fault(fault, host)
        return told


async def delay_through_proxy() -> dict[str, Any]:
    host = Host()
    with loopback(Target("tcp", "healthy")) as [target]:
        settings = ProxySettings(name="db", listen="127.0.0.1:0", upstream=target.address)
        async with offered_proxies(host, [settings]):  # type: ignore[arg-type]  # what it uses of a bench, this has
            fault = PacketDelay(targets=(target.address,), delay="1ms", protocol="tcp", proxy="db")
            plan = await fault.plan(host, "chosen")
            await check_fault(fault, host)
            wrong = PacketDelay(targets=(target.address,), delay="1ms", protocol="udp", proxy="db")
            elsewhere = PacketDelay(targets=("127.0.0.9:1",), delay="1ms", protocol="tcp", proxy="db")
            return {
                "backend": plan.backend,
                "wrong": {one.name: one.why for one in await wrong.preflight(host)}["proxy"],
                "elsewhere": {one.name: one.why for one in await elsewhere.preflight(host)}["proxy"],
            }


async def protected() -> str:
    """A target that nobody may hurt, by a way that would not touch it."""
    group = SocketGroup("dns")
    host = Host(sockets__dns=group, protected=["127.0.0.1:9999"])
    fault = PacketLoss(targets=("127.0.0.1:9999",), ratio=1.0, sockets="dns")
    try:
        await fault.plan(host, "chosen")
    except FaultError as error:
        return str(error)
    return ""


async def cost() -> list[float]:
    """How long each of a few surveys takes, in seconds, when nothing is remembered."""
    from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
    from meshkit_fastprobe.chaos.surveying import Survey

    took = []
    for _ in range(30):
        began = time.monotonic()
        await Survey().ways(builtin_faults, Host())
        took.append(time.monotonic() - began)
    return took


if __name__ == "__main__":
    play(
        {
            "refused": refused,
            "lose_through_proxy": lose_through_proxy,
            "lose_on_sockets": lose_on_sockets,
            "delay_through_proxy": delay_through_proxy,
            "protected": protected,
            "cost": cost,
        }
    )
