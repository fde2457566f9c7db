"""Loss on the sockets of the embedding program: by a filter on each, without privileges, and gone without a trace."""

from __future__ import annotations

import math
import socket
import sys
from collections.abc import Iterator

import pytest
import trio

from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.network.endpoints import parse_endpoints
from meshkit_fastprobe.chaos.network.socket_group import (
    SO_ATTACH_FILTER,
    SO_DETACH_FILTER,
    SocketGroup,
    SocketGroupError,
    program,
)
from tests.integration.chaos.namespace import Host

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket that receives, and one that sends to it."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        sender.connect(receiver.getsockname())
        yield receiver, sender


def received(pair: tuple[socket.socket, socket.socket], n: int) -> int:
    receiver, sender = pair
    got = 0
    for _ in range(n):
        sender.send(b"?")
        try:
            receiver.recv(1, socket.MSG_DONTWAIT)
            got += 1
        except BlockingIOError:
            pass
    return got


def group_of(*sockets: socket.socket) -> SocketGroup:
    group = SocketGroup("orders")
    for sock in sockets:
        group.add(sock)
    return group


async def test_the_share_that_was_asked_for_is_lost_and_nothing_after(pair: tuple[socket.socket, socket.socket]) -> None:
    host = Host(sockets__orders=group_of(pair[0]))
    fault = PacketLoss(ratio=0.3, sockets="orders")
    n = 4000
    plan = await fault.plan(host, "some")
    await fault.apply(host, plan)
    lost = n - received(pair, n)
    effect = await fault.verify(host, plan)
    await fault.revert(host, plan)
    await fault.revert(host, plan)
    assert abs(lost / n - 0.3) < 5 * math.sqrt(0.3 * 0.7 / n)
    assert (effect.in_force, effect.touched) == (True, lost)
    assert await fault.is_gone(host, plan)
    assert plan.local
    assert received(pair, 100) == 100


def test_all_may_be_lost_also_of_a_socket_that_joins_late(pair: tuple[socket.socket, socket.socket]) -> None:
    group = group_of()
    assert group.arm(1.0, "a") == 0
    group.add(pair[0])
    assert received(pair, 20) == 0
    group.discard(pair[0])
    assert received(pair, 20) == 20
    group.disarm("a")


def test_sockets_that_were_closed_or_forgotten_are_no_trouble(pair: tuple[socket.socket, socket.socket]) -> None:
    group = group_of(*pair)
    lost = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    group.add(lost)
    lost.close()
    assert group.arm(0.5, "a") == 2
    pair[1].close()
    assert len(group) == 1
    group.disarm("a")
    del lost
    assert not group.armed


def test_a_socket_that_listens_is_refused_since_its_children_would_keep_the_filter(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        group = group_of(pair[0], listener)
        with pytest.raises(SocketGroupError, match="it listens"):
            group.arm(1.0, "a")
    assert not group.armed
    assert received(pair, 20) == 20


async def test_a_filter_of_the_embedder_is_not_displaced(pair: tuple[socket.socket, socket.socket]) -> None:
    import ctypes
    import struct

    code = ctypes.create_string_buffer(program(1.0), 8)
    pair[0].setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(code)))
    host = Host(sockets__orders=group_of(pair[0]))
    fault = PacketLoss(ratio=0.3, sockets="orders")
    with pytest.raises(FaultError, match="filter of its own"):
        await fault.apply(host, await fault.plan(host, "some"))
    await fault.revert(host, await fault.plan(host, "some"))
    assert received(pair, 5) == 0, "it is still theirs"
    pair[0].setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


async def test_sockets_of_trio_are_sockets(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver = trio.socket.from_stdlib_socket(pair[0].dup())
    group = SocketGroup("orders")
    group.add(receiver)
    assert group.arm(1.0, "a") == 1
    assert received(pair, 20) == 0, "it is the same socket by another descriptor"
    group.disarm("a")
    receiver.close()


def test_a_group_is_hurt_by_one_experiment_at_a_time(pair: tuple[socket.socket, socket.socket]) -> None:
    group = group_of(pair[0])
    group.arm(0.5, "a")
    with pytest.raises(SocketGroupError, match="already"):
        group.arm(0.9, "b")
    group.disarm("b")
    assert group.armed == "a", "whoever did not arm it does not disarm it"
    group.disarm("a")
    assert not group.armed


async def test_a_group_that_nobody_registered_is_told() -> None:
    with pytest.raises(FaultError, match="no group sockets:orders"):
        await PacketLoss(ratio=0.3, sockets="orders").plan(Host(), "some")


@pytest.mark.parametrize(
    ("targets", "protocol", "strangers"),
    [
        (["127.0.0.1"], "any", 0),
        (["127.0.0.0/8"], "tcp", 0),
        (["127.0.0.1:1"], "any", 2),
        (["127.0.0.2"], "any", 2),
        (["::1"], "any", 2),
        (["127.0.0.1"], "udp", 2),
    ],
    ids=str,
)
def test_strangers_are_those_that_talk_to_none_of_the_targets(targets: list[str], protocol: str, strangers: int) -> None:
    """Also one that speaks IPv4 through a socket of IPv6."""
    group = SocketGroup("orders")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as mapped:
        mapped.connect((f"::ffff:{server.getsockname()[0]}", server.getsockname()[1]))
        with socket.create_connection(server.getsockname()) as plain, socket.socket() as unconnected:
            closed = socket.create_connection(server.getsockname())
            for sock in (mapped, plain, closed):
                group.add(sock)
            closed.close()
            if protocol != "udp":
                group.add(unconnected)
            assert group.strangers(parse_endpoints("targets", targets), protocol) == strangers
