"""Targets that mean harm: whatever they send, a run ends with a reason in its time, and the engine keeps nothing of it."""

from __future__ import annotations

import errno
import gzip
from pathlib import Path

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe import HttpProbe, Reason, Result, TcpProbe

from .hostile import LIMIT_S, PATIENCE_S, Misbehave, descriptors, request, reset, reset_at_once, target, twice

pytestmark = pytest.mark.integration


async def endless_headers(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\n")
    while True:
        await stream.send_all(b"x-more: and more\r\n" * 64)


async def endless_header(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\nx-long: ")
    while True:
        await stream.send_all(b"long " * 1024)


async def endless_body(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await stream.send_all(b"and so on " * 4096)


async def endless_chunks(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await stream.send_all(b"1\r\nx\r\n" * 1024)


async def endless_interim(stream: trio.SocketStream) -> None:
    await request(stream)
    while True:
        await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n" * 64)


async def endless_trailers(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
    while True:
        await stream.send_all(b"x-more: and more\r\n" * 64)


async def a_byte_now_and_then(stream: trio.SocketStream) -> None:
    await request(stream)
    for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n":
        await stream.send_all(bytes([byte]))
        await trio.sleep(0.1)


async def bytes_of_a_body_now_and_then(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        await stream.send_all(b"x")
        await trio.sleep(0.1)


async def an_answer_before_the_question(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await trio.sleep_forever()


async def close_after_the_question(stream: trio.SocketStream) -> None:
    await request(stream)


async def reset_after_the_question(stream: trio.SocketStream) -> None:
    await request(stream)
    reset(stream)


async def reset_within_the_status_line(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 2")
    await trio.sleep(0.05)
    reset(stream)


async def reset_within_the_headers(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nx-more: an")
    await trio.sleep(0.05)
    reset(stream)


async def reset_within_the_body(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    await trio.sleep(0.05)
    reset(stream)


async def a_chunk_without_end(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nx")
    await trio.sleep_forever()


async def a_chunk_size_that_is_no_number(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx")
    await trio.sleep_forever()


async def two_lengths(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!")
    await trio.sleep_forever()


async def nul_bytes(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(bytes(4096))
    await trio.sleep_forever()


async def a_redirect_to_itself(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")


async def a_chunk_without_its_line_end(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n")
    await trio.sleep_forever()


async def a_bomb(stream: trio.SocketStream) -> None:
    """Small on the wire, too large by a thousand times once inflated; nobody inflates it."""
    await request(stream)
    bomb = gzip.compress(bytes(6_000_000))
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    await stream.send_all(head + bomb)


HOSTILE = [
    (endless_headers, Reason.HTTP_HEADER_LIMIT),
    (endless_header, Reason.HTTP_HEADER_LIMIT),
    (endless_body, Reason.HTTP_BODY_LIMIT),
    (endless_chunks, Reason.HTTP_BODY_LIMIT),
    (endless_interim, Reason.HTTP_HEADER_LIMIT),
    (endless_trailers, Reason.HTTP_HEADER_LIMIT),
    (a_byte_now_and_then, Reason.RESPONSE_TIMEOUT),
    (bytes_of_a_body_now_and_then, Reason.RESPONSE_TIMEOUT),
    (close_after_the_question, Reason.RESPONSE_CLOSED),
    (reset_after_the_question, Reason.RESPONSE_RESET),
    (reset_within_the_status_line, Reason.RESPONSE_RESET),
    (reset_within_the_headers, Reason.RESPONSE_RESET),
    (reset_within_the_body, Reason.RESPONSE_RESET),
    (a_chunk_without_end, Reason.HTTP_PROTOCOL),
    (a_chunk_size_that_is_no_number, Reason.HTTP_PROTOCOL),
    (a_chunk_without_its_line_end, Reason.HTTP_PROTOCOL),
    (two_lengths, Reason.HTTP_PROTOCOL),
    (nul_bytes, Reason.HTTP_PROTOCOL),
    (a_redirect_to_itself, Reason.HTTP_STATUS),
]


@pytest.mark.parametrize("native_lane", [True, False], ids=["native", "trio"])
@pytest.mark.parametrize("keep_alive", [False, True], ids=["new", "keep-alive"])
@pytest.mark.parametrize(("misbehave", "reason"), HOSTILE, ids=[misbehave.__name__ for misbehave, _ in HOSTILE])
async def test_a_hostile_answer_becomes_its_reason(misbehave: Misbehave, reason: Reason, keep_alive: bool, native_lane: bool):
    async with target(misbehave) as address:
        probe = HttpProbe(f"http://{address}/", keep_alive=keep_alive, max_body_bytes=100_000)
        limit_s = LIMIT_S if reason is Reason.RESPONSE_TIMEOUT else PATIENCE_S
        view = await twice(probe, native_lane=native_lane, limit_s=limit_s)
    assert view.reason is reason
    assert view.result is (Result.TIMEOUT if reason is Reason.RESPONSE_TIMEOUT else Result.FAIL)


@pytest.mark.parametrize("native_lane", [True, False], ids=["native", "trio"])
async def test_who_resets_at_once_was_reached_but_gave_no_answer(native_lane: bool):
    """The handshake is done by the kernel before the server can mind, so it is the answer that is missing."""
    async with target(reset_at_once) as address:
        view = await twice(HttpProbe(f"http://{address}/"), native_lane=native_lane)
    assert view.result is Result.FAIL
    assert view.reason is Reason.RESPONSE_RESET
    assert view.detail == errno.ECONNRESET


@pytest.mark.parametrize("native_lane", [True, False], ids=["native", "trio"])
async def test_a_tcp_check_is_content_with_the_handshake_though_a_reset_follows(native_lane: bool):
    async with target(reset_at_once) as address:
        view = await twice(TcpProbe(address), native_lane=native_lane)
    assert view.result is Result.OK


@pytest.mark.parametrize("native_lane", [True, False], ids=["native", "trio"])
async def test_an_answer_before_the_question_is_taken_as_the_answer_or_as_a_breach(native_lane: bool):
    async with target(an_answer_before_the_question) as address:
        view = await twice(HttpProbe(f"http://{address}/"), native_lane=native_lane)
    assert view.reason in {Reason.NONE, Reason.HTTP_PROTOCOL}


@pytest.mark.parametrize("native_lane", [True, False], ids=["native", "trio"])
async def test_a_tcp_check_minds_nothing_that_is_sent(native_lane: bool):
    async with target(an_answer_before_the_question) as address:
        view = await twice(TcpProbe(address), native_lane=native_lane)
    assert view.result is Result.OK


@pytest.mark.parametrize("native_lane", [True, False], ids=["native", "trio"])
@pytest.mark.parametrize(("bound", "reason"), [(100_000, Reason.NONE), (1000, Reason.HTTP_BODY_LIMIT)])
async def test_a_compressed_body_is_bounded_by_its_bytes_on_the_wire(bound: int, reason: Reason, native_lane: bool):
    async with target(a_bomb) as address:
        view = await twice(HttpProbe(f"http://{address}/", max_body_bytes=bound), native_lane=native_lane)
    assert view.reason is reason


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")
async def test_hostile_over_ipv6_is_the_same():
    async with target(endless_headers, host="::1") as address:
        assert (await twice(HttpProbe(f"http://{address}/"))).reason is Reason.HTTP_HEADER_LIMIT
        assert (await twice(TcpProbe(address))).result is Result.OK


async def test_a_hundred_hostile_targets_leave_no_descriptor_behind():
    async with target(endless_body) as address:
        diag = fp.Diagnostics(fp.Settings(host="test", max_probes=200, first_run_window_s=0.2))
        for probe in range(100):
            diag.add(HttpProbe(f"http://{address}/{probe}", keep_alive=True, max_body_bytes=1000), interval=60, timeout=20)
        before = descriptors()
        async with diag:
            with trio.fail_after(60):
                while diag.snapshot().totals.fail < 100:
                    await trio.sleep(0.05)
        with trio.fail_after(60):
            while descriptors() > before:  # the target's ends go when it hears of it
                await trio.sleep(0.01)
