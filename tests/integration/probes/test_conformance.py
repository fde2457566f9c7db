"""Every kind of probe passes the checks of conformance, on every lane it has; and a kind that does not is told by its rule."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, ClassVar

import h2.config
import h2.connection
import h2.events
import msgspec
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.probes.base import Probe
from meshkit_fastprobe.probes.builtin import builtin_kinds
from meshkit_fastprobe.probes.callable import from_callable
from meshkit_fastprobe.probes.udp import UdpExpect
from meshkit_fastprobe.testing import ConformanceError, Target, check_probe, loopback

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: hello\n\n"
Serve = Callable[[Any], Any]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A TCP server on loopback; whoever it serves may leave at any time."""

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await serve(stream)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def until_left(stream: Any) -> None:
    while await stream.receive_some(65_536):
        pass


async def answer(response: bytes, stream: Any) -> None:
    while await stream.receive_some(65_536):
        await stream.send_all(response)


async def health(status: int, stream: trio.SocketStream) -> None:
    """grpc.health.v1, saying the same of everybody."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    while data := await stream.receive_some(65_536):
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                number = event.stream_id
                connection.send_headers(number, [(":status", "200"), ("content-type", "application/grpc")])
                connection.send_data(number, b"\0\0\0\0\2\x08" + bytes([status]))
                connection.send_headers(number, [("grpc-status", "0")], end_stream=True)
        await stream.send_all(connection.data_to_send())


async def echo(sock: trio.socket.SocketType) -> None:
    while True:
        data, sender = await sock.recvfrom(2048)
        await sock.sendto(data, sender)


async def udp_socket(stack: AsyncExitStack) -> trio.socket.SocketType:
    sock = stack.enter_context(trio.socket.socket(type=trio.socket.SOCK_DGRAM))
    await sock.bind(("127.0.0.1", 0))
    return sock


Three = tuple[Probe, Probe, Probe | None]


async def three_of_tcp(stack: AsyncExitStack) -> Three:
    up, down = stack.enter_context(loopback(Target("tcp", "healthy"), Target("tcp", "refusing")))
    sock = stack.enter_context(trio.socket.socket())
    await sock.bind(("127.0.0.1", 0))
    sock.listen(0)
    name = sock.getsockname()
    await stack.enter_async_context(await trio.open_tcp_stream(*name))  # its queue has one place, and this has taken it
    return fp.TcpProbe(up.address), fp.TcpProbe(down.address), fp.TcpProbe(f"127.0.0.1:{name[1]}")


async def three_of_http(stack: AsyncExitStack) -> Three:
    kinds = [Target("http", "healthy"), Target("http", "failing"), Target("http", "hanging")]
    good, bad, hanging = (f"http://{target.address}/healthz" for target in stack.enter_context(loopback(*kinds)))
    return fp.HttpProbe(good, keep_alive=True), fp.HttpProbe(bad, keep_alive=True), fp.HttpProbe(hanging)


async def three_of_dns(stack: AsyncExitStack) -> Three:
    kinds = [Target("dns", "healthy"), Target("dns", "failing"), Target("dns", "hanging")]
    good, bad, hanging = (fp.DnsProbe(each.address, "a.test") for each in stack.enter_context(loopback(*kinds)))
    return good, bad, hanging


async def three_of_udp(stack: AsyncExitStack) -> Three:
    speaks, silent = await udp_socket(stack), await udp_socket(stack)
    nursery = await stack.enter_async_context(trio.open_nursery())
    nursery.start_soon(echo, speaks)
    stack.callback(nursery.cancel_scope.cancel)
    target = f"127.0.0.1:{speaks.getsockname()[1]}"
    return (
        fp.UdpProbe(target, "hello", UdpExpect(equals="hello")),
        fp.UdpProbe(target, "hello", UdpExpect(equals="goodbye")),
        fp.UdpProbe(f"127.0.0.1:{silent.getsockname()[1]}", "hello"),
    )


async def three_of_tls(stack: AsyncExitStack, authority: Any, tls_server: Any) -> Three:
    port = await stack.enter_async_context(tls_server(authority.context("127.0.0.1")))
    silent = await stack.enter_async_context(serving(until_left))
    ours = fp.Tls(ca_file=authority.file)
    return fp.TlsProbe(f"127.0.0.1:{port}", tls=ours), fp.TlsProbe(f"127.0.0.1:{port}"), fp.TlsProbe(silent, tls=ours)


async def three_of_https(stack: AsyncExitStack, authority: Any, tls_server: Any) -> Three:
    context = authority.context("127.0.0.1")
    port = await stack.enter_async_context(tls_server(context, partial(answer, OK)))
    silent = await stack.enter_async_context(tls_server(context, until_left))
    ours = {"tls": fp.Tls(ca_file=authority.file), "version": "1.1", "keep_alive": True}
    url = f"https://127.0.0.1:{port}/"
    return (
        fp.HttpsProbe(url, **ours),
        fp.HttpsProbe(url, expect=fp.HttpExpect(body_contains="ready"), **ours),
        fp.HttpsProbe(f"https://127.0.0.1:{silent}/", **ours),
    )


async def three_of_grpc(stack: AsyncExitStack) -> Three:
    serves, rests, silent = [
        await stack.enter_async_context(serving(serve)) for serve in (partial(health, 1), partial(health, 2), until_left)
    ]
    return fp.GrpcProbe(serves, "orders", keep_alive=True), fp.GrpcProbe(rests, keep_alive=True), fp.GrpcProbe(silent)


async def three_of_watch(stack: AsyncExitStack) -> Three:
    streams, answers, silent = [
        await stack.enter_async_context(serving(serve)) for serve in (partial(answer, STREAM), partial(answer, OK), until_left)
    ]
    good, bad, hanging = (fp.WatchProbe(f"http://{address}/events") for address in (streams, answers, silent))
    return good, bad, hanging


async def three_of_exec(_: AsyncExitStack) -> Three:
    return (
        fp.ExecProbe("a", ("/bin/sh", "-c", "exit 0")),
        fp.ExecProbe("a", ("/bin/sh", "-c", "exit 3")),
        fp.ExecProbe("a", ("/bin/sh", "-c", "sleep 60 & wait")),
    )


async def three_of_quorum(_: AsyncExitStack) -> Three:
    return fp.QuorumProbe("member", at_least=1), fp.QuorumProbe("nobody", at_least=1), None


WITHOUT_TLS = {
    "tcp": three_of_tcp,
    "http": three_of_http,
    "dns": three_of_dns,
    "udp": three_of_udp,
    "grpc": three_of_grpc,
    "watch": three_of_watch,
    "exec": three_of_exec,
    "quorum": three_of_quorum,
}
WITH_TLS = {"tls": three_of_tls, "https": three_of_https}


async def passes() -> None:
    await trio.lowlevel.checkpoint()


async def refuses() -> fp.Outcome:
    await trio.lowlevel.checkpoint()
    return fp.Outcome.fail("no", reason=fp.Reason.CONNECT_REFUSED)


def test_no_kind_is_left_out() -> None:
    assert {*WITHOUT_TLS, *WITH_TLS, "icmp"} == set(builtin_kinds)


@pytest.mark.parametrize("kind", WITHOUT_TLS)
async def test_a_kind_conforms(kind: str) -> None:
    async with AsyncExitStack() as stack:
        good, bad, hanging = await WITHOUT_TLS[kind](stack)
        assert good.kind == kind
        await check_probe(
            good, bad=bad, hanging=hanging, beside={"member": from_callable(passes)} if kind == "quorum" else None
        )


@pytest.mark.parametrize("kind", WITH_TLS)
async def test_a_kind_that_speaks_tls_conforms(kind: str, authority: Any, tls_server: Any) -> None:
    async with AsyncExitStack() as stack:
        good, bad, hanging = await WITH_TLS[kind](stack, authority, tls_server)
        await check_probe(good, bad=bad, hanging=hanging)


ICMP = """
import fcntl, socket, struct, trio
import meshkit_fastprobe as fp
from meshkit_fastprobe.testing import check_probe

with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
trio.run(lambda: check_probe(fp.IcmpProbe("127.0.0.1"), bad=fp.IcmpProbe("192.0.2.1")))
"""


def test_icmp_conforms() -> None:
    """In a namespace of its own, where raw sockets are allowed and nothing leaves the host."""
    try:
        ended = subprocess.run(["unshare", "-Urn", sys.executable, "-c", ICMP], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare: apt-get install util-linux")
    if ended.stderr.startswith("unshare:"):
        pytest.skip(f"this kernel gives no network namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr


async def test_callables_conform() -> None:
    await check_probe(from_callable(passes), bad=from_callable(refuses), hanging=from_callable(trio.sleep_forever))
    await check_probe(from_callable(lambda: None), bad=from_callable(lambda: fp.Outcome.fail("no")))


class Leaky(msgspec.Struct, frozen=True):
    """Keeps a descriptor open after each run."""

    kind: ClassVar[str] = "leaky"
    target: str
    kept: ClassVar[list[Any]] = []

    async def check(self) -> fp.Outcome:
        await trio.lowlevel.checkpoint()
        if self.target == "bad":
            return fp.Outcome.fail("no")
        Leaky.kept.append(socket.socket())
        return fp.Outcome.ok()


class Fickle(msgspec.Struct, frozen=True):
    """Passes the first time only."""

    kind: ClassVar[str] = "fickle"
    target: str
    asked: ClassVar[list[str]] = []

    async def check(self) -> fp.Outcome:
        await trio.lowlevel.checkpoint()
        Fickle.asked.append(self.target)
        return fp.Outcome.ok() if len(Fickle.asked) == 1 else fp.Outcome.fail("no")


class Dull(msgspec.Struct, frozen=True):
    """Does not hear that it is over."""

    kind: ClassVar[str] = "dull"
    target: str

    async def check(self) -> fp.Outcome:
        if self.target == "hanging":
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
        await trio.lowlevel.checkpoint()
        return fp.Outcome.ok() if self.target != "bad" else fp.Outcome.fail("no")


async def test_what_breaks_a_rule_is_told_by_the_rule() -> None:
    with pytest.raises(ConformanceError, match="leaky: a probe that passes leaves 2 descriptors or threads behind"):
        await check_probe(Leaky("good"), bad=Leaky("bad"))
    for sock in Leaky.kept:
        sock.close()
    with pytest.raises(ConformanceError, match="fickle: good does not pass: fail"):
        await check_probe(Fickle("good"), bad=Fickle("bad"))
    with pytest.raises(ConformanceError, match="dull: bad passes"):
        await check_probe(Dull("good"), bad=Dull("good"))
