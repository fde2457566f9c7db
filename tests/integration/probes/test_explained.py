"""What is told of a run on the task lane: when it connected, shook hands and heard, both ends, and the head of the answer."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.probes.base import Probe
from meshkit_fastprobe.testing import Target, loopback
from tests.integration.probes.test_conformance import OK, STREAM, answer, health, serving, until_left
from tests.integration.probes.test_https import fine, over_http1, over_http2

pytestmark = pytest.mark.integration

ANSWER = OK.replace(b"content-length", b"x-build: 7\r\nset-cookie: secret=1\r\ncontent-length")


async def explained(probe: Probe, runs: int = 1, limit: str = "20s") -> fp.Explanation:
    diag = fp.Diagnostics(fp.Settings(host="test", native_lane=False))
    diag.add(probe, name="it", interval="1h", initial_delay="1h", timeout=limit)
    async with diag:
        with trio.fail_after(60):
            for _ in range(runs - 1):
                await diag.run_once("it")
            return await diag.explain("it")


def in_order(told: fp.Explanation, *names: str) -> None:
    """These phases and no others were reached, one after the other."""
    phases = told.phases
    reached = {name: getattr(phases, f"{name}_s") for name in ("connect", "tls", "first_byte", "total")}
    assert [name for name, at in reached.items() if at is not None] == list(names)
    assert [reached[name] for name in names] == sorted(reached[name] for name in names)


async def test_http_without_the_native_lane_is_told_like_with_it() -> None:
    async with serving(partial(answer, ANSWER)) as address:
        told = await explained(fp.HttpProbe(f"http://{address}/"))
    in_order(told, "connect", "first_byte", "total")
    assert (told.status, told.connection, told.peer, told.body_bytes) == (200, "new", address, 2)
    assert told.local.startswith("127.0.0.1:")
    assert told.headers == (("x-build", "7"), ("set-cookie", "(not shown)"), ("content-length", "2"))


async def test_a_kept_connection_is_told_as_such() -> None:
    async with serving(partial(answer, OK)) as address:
        told = await explained(fp.HttpProbe(f"http://{address}/", keep_alive=True), runs=2)
    in_order(told, "first_byte", "total")
    assert (told.connection, told.peer) == ("kept", address)


async def test_a_kept_connection_that_was_dead_is_told_as_retried() -> None:
    async def once(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(OK)
        await stream.receive_some()  # the next request is met by a close

    async with serving(once) as address:
        told = await explained(fp.HttpProbe(f"http://{address}/", keep_alive=True), runs=2)
    in_order(told, "connect", "first_byte", "total")
    assert told.connection == "retried"


async def test_a_run_that_was_cut_is_told_as_far_as_it_came() -> None:
    async with serving(until_left) as address:
        told = await explained(fp.HttpProbe(f"http://{address}/"), limit="200ms")
    assert told.reason is fp.Reason.RESPONSE_TIMEOUT
    in_order(told, "connect", "total")
    assert told.peer == address


async def test_tcp_tells_both_ends() -> None:
    async with serving(until_left) as address:
        told = await explained(fp.TcpProbe(address))
    in_order(told, "connect", "total")
    assert (told.peer, told.connection) == (address, "new")


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_https_tells_the_handshake_and_the_head(version: Any, authority, tls_server) -> None:
    serve = over_http2 if version == "2" else over_http1
    context = authority.context("127.0.0.1")
    context.set_alpn_protocols(["h2" if version == "2" else "http/1.1"])
    async with tls_server(context, serve(fine)) as port:
        tls = fp.Tls(ca_file=authority.file)
        told = await explained(fp.HttpsProbe(f"https://127.0.0.1:{port}/", version=version, tls=tls))
    in_order(told, "connect", "tls", "first_byte", "total")
    assert (told.status, told.peer, told.body_bytes) == (200, f"127.0.0.1:{port}", len(fine("/")[2]))
    assert ("x-served-by", "test") in told.headers


async def test_grpc_tells_the_headers_of_the_call() -> None:
    async with serving(partial(health, 2)) as address:
        told = await explained(fp.GrpcProbe(address))
    in_order(told, "connect", "first_byte", "total")
    assert told.reason is fp.Reason.GRPC_NOT_SERVING
    assert (told.status, told.peer) == (200, address)
    assert ("content-type", "application/grpc") in told.headers


async def test_a_watch_tells_how_its_stream_was_opened() -> None:
    async with serving(partial(answer, STREAM)) as address:
        told = await explained(fp.WatchProbe(f"http://{address}/events"))
    in_order(told, "connect", "first_byte", "total")
    assert (told.status, told.headers) == (200, (("content-type", "text/event-stream"),))


async def test_a_handshake_that_fails_is_told_with_the_time_it_took(authority, tls_server) -> None:
    async with tls_server(authority.context("elsewhere.test")) as port:
        told = await explained(fp.TlsProbe(f"127.0.0.1:{port}", tls=fp.Tls(ca_file=authority.file)))
    assert told.reason is fp.Reason.TLS_HOSTNAME
    in_order(told, "connect", "total")


@pytest.mark.parametrize("kind", ["udp", "dns"])
async def test_a_datagram_is_told_with_both_ends_and_when_its_answer_came(kind: str) -> None:
    with loopback(Target("dns", "healthy")) as (target,):
        question = "hex:abcd 0100 0001 0000 0000 0000 076578616d706c65036f726700 0001 0001"
        probe = fp.DnsProbe(target.address, "example.org") if kind == "dns" else fp.UdpProbe(target.address, question)
        told = await explained(probe)
    in_order(told, "first_byte", "total")
    assert (told.result, told.peer, told.connection) == (fp.Result.OK, target.address, "")
    assert told.local.startswith("127.0.0.1:")


@pytest.mark.root
async def test_an_echo_is_told_with_when_it_came_back() -> None:
    told = await explained(fp.IcmpProbe("127.0.0.1"))
    assert told.result is fp.Result.OK
    in_order(told, "first_byte", "total")


async def test_failures_are_remembered_with_how_far_they_came(authority, tls_server) -> None:
    async with tls_server(authority.context("elsewhere.test")) as port, serving(until_left) as silent:
        diag = fp.Diagnostics(fp.Settings(host="test", native_lane=False))
        options: dict[str, Any] = {"interval": "1h", "initial_delay": "1h"}
        diag.add(fp.TlsProbe(f"127.0.0.1:{port}", tls=fp.Tls(ca_file=authority.file)), name="wrong", timeout="20s", **options)
        diag.add(fp.HttpProbe(f"http://{silent}/"), name="silent", timeout="200ms", **options)
        async with diag:
            with trio.fail_after(60):
                for name in ("wrong", "silent", "wrong"):
                    await diag.run_once(name)
            wrong, cut = diag.failures("wrong"), diag.failures("silent")
    assert [str(one.reason) for one in wrong] == ["tls_hostname"] * 2
    assert [str(one.reason) for one in cut] == ["response_timeout"]
    for one in (*wrong, *cut):
        assert one.connection == "new"
        assert one.phases.connect_s is not None
        assert 0 < one.phases.connect_s <= one.latency_s
        assert one.phases.first_byte_s is None
