"""The UDP probe, on both lanes, against servers on loopback that answer whatever they like."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from meshkit_fastprobe import Diagnostics, Settings
from meshkit_fastprobe.aggregation.snapshot import ProbeView
from meshkit_fastprobe.model import Lane, Reason, Result
from meshkit_fastprobe.probes.udp import UdpExpect, UdpProbe
from meshkit_fastprobe.probes.via import Via

pytestmark = pytest.mark.integration

lanes = pytest.mark.parametrize("native_lane", [True, False], ids=["native", "task"])


@asynccontextmanager
async def server(answer: Callable[[bytes], list[bytes]], host: str = "127.0.0.1") -> AsyncIterator[str]:
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind((host, 0))

        async def serve() -> None:
            while True:
                data, sender = await sock.recvfrom(65_536)
                for reply in answer(data):
                    await sock.sendto(reply, sender)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield f"[{host}]:{sock.getsockname()[1]}" if ":" in host else f"{host}:{sock.getsockname()[1]}"
            nursery.cancel_scope.cancel()


async def check(probe: UdpProbe, native_lane: bool, limit: str = "5s") -> ProbeView:
    diag = Diagnostics(Settings(host="test", max_probes=8, native_lane=native_lane))
    diag.add(probe, name="it", interval="1h", initial_delay="1h", timeout=limit)
    async with diag:
        with trio.fail_after(30):
            seen = await diag.run_once("it")
    assert seen.lane is (Lane.NATIVE if native_lane else Lane.TASK)
    return seen


@lanes
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_reply_passes_with_its_size(native_lane: bool, host: str) -> None:
    async with server(lambda data: [data + b"!"], host) as target:
        seen = await check(UdpProbe(target, "ping"), native_lane)
    assert (seen.result, seen.detail) == (Result.OK, 5)
    assert seen.latency_s is not None
    assert 0 < seen.latency_s < 5


@lanes
@pytest.mark.parametrize(
    ("expect", "good"),
    [
        (UdpExpect(equals="pong 7"), True),
        (UdpExpect(equals="pong"), False),
        (UdpExpect(prefix="pong"), True),
        (UdpExpect(prefix="ong"), False),
        (UdpExpect(contains="g 7"), True),
        (UdpExpect(contains="hex:20 37"), True),
        (UdpExpect(contains="g7"), False),
        (UdpExpect(prefix="pong", contains="8"), False),
        (UdpExpect(equals=""), False),
        (UdpExpect(contains=""), True),
    ],
)
async def test_what_is_expected_has_to_hold(native_lane: bool, expect: UdpExpect, good: bool) -> None:
    async with server(lambda _: [b"pong 7"]) as target:
        seen = await check(UdpProbe(target, "ping 7", expect), native_lane)
    assert (seen.result is Result.OK) is good
    assert seen.reason is (Reason.NONE if good else Reason.REPLY_MISMATCH)


@lanes
async def test_an_empty_datagram_is_a_question_and_an_answer(native_lane: bool) -> None:
    asked: list[bytes] = []

    def answer(data: bytes) -> list[bytes]:
        asked.append(data)
        return [b""]

    async with server(answer) as target:
        seen = await check(UdpProbe(target, expect=UdpExpect(equals="")), native_lane)
    assert (seen.result, asked) == (Result.OK, [b""])


@lanes
@pytest.mark.parametrize("size", [11, 4000, 60_000])
async def test_a_reply_over_the_limit_fails_with_its_size(native_lane: bool, size: int) -> None:
    async with server(lambda _: [b"x" * size]) as target:
        seen = await check(UdpProbe(target, "x", max_reply_bytes=10), native_lane)
    assert (seen.result, seen.reason, seen.detail) == (Result.FAIL, Reason.REPLY_LIMIT, size)


@lanes
async def test_silence_is_a_timeout(native_lane: bool) -> None:
    async with server(lambda _: []) as target:
        seen = await check(UdpProbe(target, "x"), native_lane, limit="50ms")
    assert (seen.result, seen.reason) == (Result.TIMEOUT, Reason.RESPONSE_TIMEOUT)


@lanes
async def test_a_port_where_nobody_listens_refuses(native_lane: bool) -> None:
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    seen = await check(UdpProbe(f"127.0.0.1:{port}", "x"), native_lane)
    assert (seen.result, seen.reason) == (Result.FAIL, Reason.CONNECT_REFUSED)


@lanes
async def test_the_source_is_as_asked(native_lane: bool) -> None:
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        senders = []

        async def serve() -> None:
            _, sender = await sock.recvfrom(100)
            senders.append(sender[0])
            await sock.sendto(b"ok", sender)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            probe = UdpProbe(f"127.0.0.1:{sock.getsockname()[1]}", "x", via=Via(source="127.0.0.9"))
            assert (await check(probe, native_lane)).result is Result.OK
    assert senders == ["127.0.0.9"]
