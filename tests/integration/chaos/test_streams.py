"""A stream through an injection point is a stream like any other; with a fault there its bytes come late or not at all."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
import trio
import trio.testing

import meshkit_fastprobe as fp
from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.bench import Bench
from meshkit_fastprobe.chaos.faults.error import InjectedError
from meshkit_fastprobe.chaos.faults.latency import Latency


@pytest.fixture
def point():
    return InjectionPoint("orders.wire")


async def armed(point, fault):
    host = Bench("here", {point.name: point}, None)
    plan = await fault.plan(host, "a")
    await fault.apply(host, plan)
    return host, plan


async def test_it_keeps_every_promise_of_a_stream(point):
    async def pair():
        one, other = (trio.SocketStream(end) for end in trio.socket.socketpair())
        return fp.stream_through(point, one), fp.stream_through(point, other)

    async def clogged():
        one, other = trio.socket.socketpair()
        for end in (one, other):
            with suppress(BlockingIOError):
                while True:
                    os.write(end.fileno(), bytes(65_536))
        return tuple(fp.stream_through(point, trio.SocketStream(end)) for end in (one, other))

    await trio.testing.check_half_closeable_stream(pair, clogged)


async def test_one_that_cannot_be_half_closed_is_not_by_this(point):
    stream = fp.stream_through(point, trio.StapledStream(*trio.testing.memory_stream_one_way_pair()))
    assert isinstance(stream, trio.abc.HalfCloseableStream) == hasattr(stream, "send_eof")


async def test_bytes_of_a_real_connection_come_late_both_ways(point, mock_clock):
    one, other = trio.testing.memory_stream_pair()
    stream = fp.stream_through(point, one)
    await armed(point, Latency(point=point.name, delay="200ms"))
    before = trio.current_time()
    await stream.send_all(b"?")
    assert trio.current_time() - before == pytest.approx(0.2)
    await other.send_all(b"!")
    assert await stream.receive_some() == b"!"
    assert trio.current_time() - before == pytest.approx(0.4)


async def test_an_error_is_raised_where_the_bytes_pass(point):
    one, _ = trio.testing.memory_stream_pair()
    await armed(point, InjectedError(point=point.name, message="the line is cut"))
    with pytest.raises(fp.FaultInjectedError, match="the line is cut"):
        await fp.stream_through(point, one).send_all(b"?")


async def test_bytes_that_came_before_somebody_gave_up_are_not_lost(point, mock_clock):
    one, other = trio.testing.memory_stream_pair()
    stream = fp.stream_through(point, one)
    host, plan = await armed(point, Latency(point=point.name, delay="60s"))
    await other.send_all(b"precious")
    with trio.move_on_after(1) as gave_up:
        await stream.receive_some()
    assert gave_up.cancelled_caught
    await Latency.revert(host, plan)
    assert await stream.receive_some(3) == b"pre"
    assert await stream.receive_some() == b"cious"


async def test_two_who_receive_at_once_are_told(point):
    one, _ = trio.testing.memory_stream_pair()
    stream = fp.stream_through(point, one)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await stream.receive_some()
        nursery.cancel_scope.cancel()
