"""Loss on the sockets of the embedding program: by a filter on each, without privileges, and gone without a trace."""

from __future__ import annotations

import math
import os
import resource
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trustme

from meshkit_fastprobe.chaos.faults.base import FaultError, FaultPlan
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

SO_LOCK_FILTER = 44
PATIENCE_S = 10.0

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


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def descriptors() -> set[int]:
    """Without the one that listing them takes."""
    return {int(one.name) for one in list(Path("/proc/self/fd").iterdir()) if one.is_symlink()}


def is_hurt(sock: socket.socket) -> bool:
    """By the kernel's word; afterwards it is not."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    except FileNotFoundError:
        return False
    return True


async def armed(group: SocketGroup) -> tuple[Host, PacketLoss, FaultPlan]:
    """With everything lost."""
    host, fault = Host(sockets__orders=group), PacketLoss(ratio=1.0, sockets="orders")
    plan = await fault.plan(host, "some")
    await fault.apply(host, plan)
    return host, fault, plan


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


async def test_it_is_undone_where_no_descriptor_is_left(pair: tuple[socket.socket, socket.socket]) -> None:
    host, fault, plan = await armed(group_of(*pair))
    with no_descriptor_left():
        await fault.revert(host, plan)
    assert await fault.is_gone(host, plan)
    assert not any(map(is_hurt, pair))


async def test_none_is_hurt_when_there_is_no_descriptor_to_hold_it_by(pair: tuple[socket.socket, socket.socket]) -> None:
    group = group_of(*pair)
    with no_descriptor_left(), pytest.raises(FaultError, match="Too many open files"):
        await armed(group)
    assert not group.armed
    host, fault, plan = await armed(group)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as joins:
        with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
            group.add(joins)
        assert len(group) == 2
        await fault.revert(host, plan)
        assert not any(map(is_hurt, (*pair, joins)))


async def test_a_filter_that_stays_is_told_until_it_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    group = group_of(*pair)
    host, fault, plan = await armed(group)
    pair[0].setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    for _ in range(2):
        with pytest.raises(FaultError, match="does not let go of its filter: Operation not permitted"):
            await fault.revert(host, plan)
        assert not await fault.is_gone(host, plan)
    assert not is_hurt(pair[1]), "the others are undone all the same"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        group.add(late)
        assert not is_hurt(late), "nobody else is hurt any more"
    with pytest.raises(SocketGroupError, match="already"):
        group.arm(0.5, "another")
    with pytest.raises(SocketGroupError, match="does not let go"):
        group.discard(pair[0])
    for copy in group._hurt.values():  # what only the end of a process does
        copy.close()


async def test_a_filter_that_stays_on_what_was_closed_ends_the_experiment(pair: tuple[socket.socket, socket.socket]) -> None:
    group = group_of(pair[0])
    host, fault, plan = await armed(group)
    pair[0].setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    pair[0].close()
    with pytest.raises(FaultError, match="does not let go"):
        await fault.verify(host, plan)
    assert not await fault.is_gone(host, plan)
    for copy in group._hurt.values():
        copy.close()


async def looked_at(group: SocketGroup, host: Host, fault: PacketLoss, plan: FaultPlan) -> None:
    await fault.verify(host, plan)
    assert group.armed


async def reverted(group: SocketGroup, host: Host, fault: PacketLoss, plan: FaultPlan) -> None:
    await fault.revert(host, plan)
    assert await fault.is_gone(host, plan)
    assert not group.armed


@pytest.mark.parametrize("ends", [looked_at, reverted], ids=lambda ends: ends.__name__)
async def test_a_connection_that_tls_took_over_is_not_left_hurt(ends: Callable) -> None:
    authority = trustme.CA()
    served, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(served)
    authority.configure_trust(asking)
    group = SocketGroup("orders")
    host, fault, plan = await armed(group)

    def answer() -> None:
        with listener.accept()[0] as accepted:
            accepted.settimeout(PATIENCE_S)
            with served.wrap_socket(accepted, server_side=True) as peer:
                peer.sendall(peer.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer)
        server.start()
        plain = socket.create_connection(listener.getsockname(), timeout=PATIENCE_S)
        group.add(plain)
        with asking.wrap_socket(plain, server_hostname="127.0.0.1", do_handshake_on_connect=False) as tls:
            assert plain.fileno() == -1, "it is another object's socket now"
            await ends(group, host, fault, plan)
            assert not is_hurt(tls)
            tls.do_handshake()
            tls.sendall(b"?")
            assert tls.recv(1) == b"?"
        server.join()
    await fault.revert(host, plan)


async def test_what_is_added_again_as_tls_is_hurt_again() -> None:
    group = SocketGroup("orders")
    host, fault, plan = await armed(group)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = socket.create_connection(listener.getsockname())
        group.add(plain)
        group.add(plain)
        with ssl.create_default_context().wrap_socket(plain, server_hostname="a", do_handshake_on_connect=False) as tls:
            group.add(tls)
            assert (await fault.verify(host, plan)).told.startswith("1 sockets")
            await fault.revert(host, plan)
            assert not is_hurt(tls)


@pytest.mark.parametrize("ends", [looked_at, reverted], ids=lambda ends: ends.__name__)
@pytest.mark.parametrize("is_collected", [False, True], ids=["closed", "collected"])
async def test_a_duplicate_of_what_was_closed_is_not_left_hurt(
    ends: Callable, is_collected: bool, pair: tuple[socket.socket, socket.socket]
) -> None:
    group = SocketGroup("orders")
    other = pair[0].dup()
    host, fault, plan = await armed(group)
    group.add(other)
    if is_collected:
        os.close(other.detach())
        del other
    else:
        other.close()
    assert received(pair, 5) == 0
    await ends(group, host, fault, plan)
    assert received(pair, 5) == 5
    await fault.revert(host, plan)


async def test_a_connection_that_its_owner_closes_ends_at_the_next_look() -> None:
    group = SocketGroup("orders")
    host, fault, plan = await armed(group)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        with listener.accept()[0] as peer:
            group.add(ours)
            ours.close()
            await fault.verify(host, plan)
            peer.settimeout(PATIENCE_S)
            assert peer.recv(1) == b""
    await fault.revert(host, plan)


def test_no_descriptor_is_left_behind_and_none_is_inherited(pair: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    before = descriptors()
    group = group_of(*pair)
    group.arm(1.0, "a")
    held = descriptors() - before
    assert len(held) == 2
    assert not any(map(os.get_inheritable, held))
    with (tmp_path / "no-socket").open("w") as file, pytest.raises(OSError, match="non-socket"):
        group.add(file)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SocketGroupError, match="it listens"):
        group.add(listener)
    group.disarm("a")
    assert descriptors() == before


def test_sockets_may_join_in_any_thread_while_they_are_counted() -> None:
    class Closed:
        def fileno(self) -> int:
            return -1

    group = SocketGroup("orders")
    kept = [Closed() for _ in range(5_000)]
    joining = threading.Thread(target=lambda: [group.add(one) for one in kept])
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        joining.start()
        while joining.is_alive():
            assert len(group) == group.strangers((), "any") == 0
    finally:
        joining.join()
        sys.setswitchinterval(before)
