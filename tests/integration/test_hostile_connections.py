"""Connections that mean harm: resets between checks, sockets nobody reads, queues that are full."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe import HttpProbe, Reason, Result, TcpProbe

from .hostile import request, reset, target, twice

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 Bad\r\ncontent-length: 0\r\n\r\n"

LANES = pytest.mark.parametrize("native_lane", [True, False], ids=["native", "trio"])


async def a_body_for_head(stream: trio.SocketStream) -> None:
    await request(stream)
    await stream.send_all(OK)
    await trio.sleep_forever()


@LANES
async def test_a_body_in_the_answer_to_head_is_not_taken_for_the_next_answer(native_lane: bool):
    async with target(a_body_for_head) as address:
        view = await twice(HttpProbe(f"http://{address}/", method="HEAD", keep_alive=True), native_lane=native_lane)
    assert view.reason is Reason.NONE


@LANES
async def test_an_answer_that_comes_with_the_one_before_its_question_is_nobodys(native_lane: bool):
    async def serve(stream: trio.SocketStream) -> None:
        await request(stream)
        await stream.send_all(OK + BAD)
        await trio.sleep_forever()

    async with target(serve) as address:
        view = await twice(HttpProbe(f"http://{address}/", keep_alive=True), native_lane=native_lane)
    assert view.reason is Reason.NONE


@LANES
async def test_an_answer_that_comes_between_two_checks_is_nobodys(native_lane: bool):
    answered, sent, connections = trio.Event(), trio.Event(), 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        await request(stream)
        await stream.send_all(OK)
        if connections == 1:
            await answered.wait()
            await stream.send_all(BAD)
            sent.set()
        await trio.sleep_forever()

    diag = fp.Diagnostics(fp.Settings(host="test", max_probes=4, native_lane=native_lane))
    async with target(serve) as address:
        diag.add(HttpProbe(f"http://{address}/", keep_alive=True), name="it", interval="1h", initial_delay="1h", timeout=20)
        async with diag:
            with trio.fail_after(60):
                first = await diag.run_once("it")
                answered.set()
                await sent.wait()
                second = await diag.run_once("it")
    assert (first.reason, second.reason) == (Reason.NONE, Reason.NONE)
    assert connections == 2


@LANES
async def test_a_unix_socket_whose_server_is_gone_refuses(tmp_path: Path, native_lane: bool):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "stale.sock"))
        server.listen()
    view = await twice(TcpProbe(f"unix:{tmp_path}/stale.sock"), native_lane=native_lane)
    assert (view.result, view.reason) == (Result.FAIL, Reason.CONNECT_REFUSED)


@LANES
async def test_a_unix_socket_with_a_full_queue_is_the_targets_failure(tmp_path: Path, native_lane: bool):
    """Unlike TCP the kernel says so at once, with the EAGAIN that elsewhere tells of our own ports."""
    path = str(tmp_path / "full.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(path)
        server.listen(0)
        waiting.connect(path)
        view = await twice(TcpProbe(f"unix:{path}"), native_lane=native_lane)
    assert (view.result, view.reason, view.detail) == (Result.FAIL, Reason.CONNECT_FAILED, errno.EAGAIN)


@LANES
async def test_a_kept_connection_that_was_reset_between_checks_is_replaced_unseen(native_lane: bool):
    answered_once, gone, connections = trio.Event(), trio.Event(), 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        await request(stream)
        await stream.send_all(OK)
        await answered_once.wait()
        reset(stream)
        await stream.aclose()
        gone.set()

    diag = fp.Diagnostics(fp.Settings(host="test", max_probes=4, native_lane=native_lane))
    async with target(serve) as address:
        diag.add(HttpProbe(f"http://{address}/", keep_alive=True), name="it", interval="1h", initial_delay="1h", timeout=20)
        async with diag:
            with trio.fail_after(60):
                first = await diag.run_once("it")
                answered_once.set()
                await gone.wait()
                second = await diag.run_once("it")
    assert (first.reason, second.reason) == (Reason.NONE, Reason.NONE)
    assert connections == 2


@LANES
async def test_a_kept_connection_whose_other_end_is_gone_without_a_word_costs_one_timeout(native_lane: bool):
    """Half open: the host vanished, and its packets with it. Nothing came, so nobody knows whether the request was heard."""
    connections = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        await request(stream)
        await stream.send_all(OK)
        await trio.sleep_forever()

    diag = fp.Diagnostics(fp.Settings(host="test", max_probes=4, native_lane=native_lane))
    async with target(serve) as address:
        diag.add(HttpProbe(f"http://{address}/", keep_alive=True), name="it", interval="1h", initial_delay="1h", timeout=2)
        async with diag:
            with trio.fail_after(60):
                reasons = [(await diag.run_once("it")).reason for _ in range(3)]
    assert reasons == [Reason.NONE, Reason.RESPONSE_TIMEOUT, Reason.NONE]
    assert connections == 2


@LANES
async def test_a_target_that_lets_go_of_its_connections_unaccepted_resets_them(native_lane: bool):
    """RST before accept: the kernel shook hands, and the process closed its listener."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        diag = fp.Diagnostics(fp.Settings(host="test", max_probes=4, native_lane=native_lane))
        diag.add(HttpProbe(url), name="it", interval="1h", initial_delay="1h", timeout=20)
        async with diag, trio.open_nursery() as nursery:
            with trio.fail_after(60):
                nursery.start_soon(_close_soon, server)
                view = await diag.run_once("it")
    assert view.reason is Reason.RESPONSE_RESET


async def _close_soon(server: socket.socket) -> None:
    await trio.lowlevel.wait_readable(server)  # the handshake is done
    await trio.sleep(0.2)
    trio.lowlevel.notify_closing(server)
    server.close()
