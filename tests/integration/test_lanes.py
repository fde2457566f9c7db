"""Native kinds give the same verdicts on the native lane and on the task lane: same results, reasons, details and words."""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe import Diagnostics, HttpExpect, HttpProbe, Lane, Reason, Result, Settings, TcpProbe
from meshkit_fastprobe._native.engine import NATIVE_LANE
from meshkit_fastprobe.aggregation.snapshot import ProbeView

pytestmark = pytest.mark.integration

lanes = pytest.mark.parametrize("native_lane", [True, False], ids=["native", "task"])

Serve = Callable[[trio.SocketStream, int], Awaitable[None]]
"""What a server does with a connection; the number counts connections from 1."""

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """A server on loopback; what it raises when its visitor leaves is nobody's business."""
    connections = 0

    async def handle(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        async with stream:
            try:
                await serve(stream, connections)
            except trio.BrokenResourceError:
                return

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def asking(probe: fp.Probe, *, native_lane: bool, limit: str = "5s") -> AsyncIterator[Callable[[], Awaitable[ProbeView]]]:
    """The probe in a running Diagnostics; call what comes for a run of it now."""
    diag = Diagnostics(Settings(host="test", max_probes=8, native_lane=native_lane))
    diag.add(probe, name="it", interval="1h", initial_delay="1h", timeout=limit)
    async with diag:
        with trio.fail_after(60):
            yield lambda: diag.run_once("it")


async def verdict(probe: fp.Probe, **options) -> ProbeView:
    async with asking(probe, **options) as run:
        return await run()


def answering(*pieces: bytes, then: str = "close") -> Serve:
    """Read a request, send pieces one segment each, then close, reset or hang."""

    async def serve(stream: trio.SocketStream, _: int) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            received = await stream.receive_some()
            if not received:
                return
            request += received
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            await stream.send_all(piece)
            await trio.sleep(0.01)
        await leave(stream, then)

    return serve


async def leave(stream: trio.SocketStream, then: str) -> None:
    if then == "reset":
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    elif then == "hang":
        await trio.sleep_forever()


@lanes
async def test_the_lane_is_the_one_that_was_asked_for(native_lane):
    async with serving(answering()) as port:
        view = await verdict(TcpProbe(f"127.0.0.1:{port}"), native_lane=native_lane)
    assert view.lane is (Lane.NATIVE if native_lane and NATIVE_LANE else Lane.TASK)  # a build without epoll has but one
    assert (view.result, view.reason, view.message) == (Result.OK, Reason.NONE, "")


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWERS = [
    ("whole", [OK], "close", {}, Reason.NONE, 200),
    ("byte by byte", [bytes([byte]) for byte in OK], "hang", {}, Reason.NONE, 200),
    ("the end is the close", [b"HTTP/1.0 200 OK\r\n\r\nsome", b"thing"], "close", {}, Reason.NONE, 200),
    ("interim answers first", [b"HTTP/1.1 100 Continue\r\n\r\n" * 3, OK], "hang", {}, Reason.NONE, 200),
    ("too many interim answers", [b"HTTP/1.1 103 Hints\r\n\r\n" * 5, OK], "hang", {}, Reason.HTTP_HEADER_LIMIT, None),
    ("chunks", [CHUNKED + b"2\r\nok\r\n", b"0\r\n\r\n"], "hang", {}, Reason.NONE, 200),
    ("a wrong chunk size", [CHUNKED + b"2\r\nokay\r\n0\r\n\r\n"], "hang", {}, Reason.HTTP_PROTOCOL, 200),
    ("unexpected status", [b"HTTP/1.1 503 No\r\ncontent-length: 9999\r\n\r\n"], "hang", {}, Reason.HTTP_STATUS, 503),
    ("expected status", [b"HTTP/1.1 301 Moved\r\ncontent-length: 0\r\n\r\n"], "hang", {"status": (301,)}, Reason.NONE, 301),
    ("status outside the list", [OK], "hang", {"status": (204,)}, Reason.HTTP_STATUS, 200),
    ("garbage", [b"SSH-2.0-OpenSSH_9.9\r\n"], "hang", {}, Reason.HTTP_PROTOCOL, 0),
    ("nothing", [], "close", {}, Reason.RESPONSE_CLOSED, 0),
    ("half", [OK[:-1]], "close", {}, Reason.RESPONSE_CLOSED, 0),
    ("half, then reset", [OK[:-1]], "reset", {}, Reason.RESPONSE_RESET, errno.ECONNRESET),
    ("silence", [], "hang", {}, Reason.RESPONSE_TIMEOUT, 0),
    ("half, then silence", [OK[:-1]], "hang", {}, Reason.RESPONSE_TIMEOUT, 0),
    ("headers without end", [b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 17_000], "hang", {}, Reason.HTTP_HEADER_LIMIT, 200),
    (
        "an expected header",
        [OK.replace(b"content", b"X-Build: v7-linux\r\ncontent")],
        "hang",
        {"headers": {"x-BUILD": "v7"}},
        Reason.NONE,
        200,
    ),
    ("a missing header", [OK], "hang", {"headers": {"x-build": ""}}, Reason.HEADER_MISMATCH, 200),
    (
        "another header's value",
        [OK.replace(b"content", b"x-build: v8\r\ncontent")],
        "hang",
        {"headers": {"x-build": "v7"}},
        Reason.HEADER_MISMATCH,
        200,
    ),
    ("the text", [CHUNKED + b"3\r\nall\r\n", b"5\r\n well\r\n", b"0\r\n\r\n"], "hang", {"body": "l wel"}, Reason.NONE, 200),
    ("another text", [OK], "hang", {"body": "okay"}, Reason.BODY_MISMATCH, 200),
    ("a body at its bound", [OK], "hang", {"max_body_bytes": 2}, Reason.NONE, 200),
    ("a body over its bound", [OK], "hang", {"max_body_bytes": 1}, Reason.HTTP_BODY_LIMIT, 200),
]


@lanes
@pytest.mark.parametrize(
    ("pieces", "then", "wish", "reason", "detail"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
async def test_an_answer_comes_to_the_same(native_lane, pieces, then, wish, reason, detail):
    wish = dict(wish)
    expect = HttpExpect(status=wish.pop("status", ()), headers=wish.pop("headers", {}), body_contains=wish.pop("body", ""))
    timeout = "300ms" if reason is Reason.RESPONSE_TIMEOUT else "20s"
    async with serving(answering(*pieces, then=then)) as port:
        probe = HttpProbe(f"http://127.0.0.1:{port}/healthz", expect=expect, **wish)
        view = await verdict(probe, native_lane=native_lane, limit=timeout)
    assert view.reason is reason
    assert view.result is {Reason.NONE: Result.OK, Reason.RESPONSE_TIMEOUT: Result.TIMEOUT}.get(reason, Result.FAIL)
    if detail is not None:
        assert view.detail == detail


@lanes
async def test_the_answer_to_head_has_no_body(native_lane):
    async with serving(answering(OK[:-2], then="hang")) as port:
        view = await verdict(HttpProbe(f"http://127.0.0.1:{port}/", method="HEAD"), native_lane=native_lane, limit="20s")
    assert view.reason is Reason.NONE


async def test_both_lanes_send_the_same_request():
    requests: list[bytes] = []

    async def serve(stream: trio.SocketStream, _: int) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += await stream.receive_some()
        requests.append(request)
        await stream.send_all(OK)

    async with serving(serve) as port:
        probe = HttpProbe(f"http://localhost:{port}/a%20b?c=d", headers={"X-Key": "v"})
        for native_lane in (True, False):
            assert (await verdict(probe, native_lane=native_lane, limit="20s")).reason is Reason.NONE
    assert requests[0] == requests[1]


@lanes
@pytest.mark.parametrize("kind", ["tcp", "http"])
async def test_a_closed_port_refuses(native_lane, kind):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound and not listening
        target = f"127.0.0.1:{sock.getsockname()[1]}"
        probe = TcpProbe(target) if kind == "tcp" else HttpProbe(f"http://{target}/")
        view = await verdict(probe, native_lane=native_lane, limit="20s")
    assert (view.result, view.reason, view.detail) == (Result.FAIL, Reason.CONNECT_REFUSED, errno.ECONNREFUSED)


@lanes
async def test_a_full_backlog_times_out_while_connecting(native_lane):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        with closing(socket.create_connection(server.getsockname())):
            view = await verdict(TcpProbe(f"127.0.0.1:{server.getsockname()[1]}"), native_lane=native_lane, limit="300ms")
    assert (view.result, view.reason) == (Result.TIMEOUT, Reason.CONNECT_TIMEOUT)


@lanes
async def test_a_name_that_cannot_be_resolved_comes_to_no_connection(native_lane):
    view = await verdict(TcpProbe("name.invalid:80"), native_lane=native_lane, limit="60s")
    assert view.reason in {Reason.DNS_NXDOMAIN, Reason.DNS_FAILURE, Reason.DNS_TIMEOUT}  # by what resolver this host has
    assert view.latency_s == 0


@lanes
@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
async def test_unix_sockets_answer(native_lane, abstract, tmp_path: Path):
    path = f"@fastprobe-{os.getpid()}-{native_lane}" if abstract else str(tmp_path / "s.sock")
    with trio.socket.socket(trio.socket.AF_UNIX) as server:
        await server.bind("\0" + path[1:] if abstract else path)
        server.listen(8)
        view = await verdict(TcpProbe(f"unix:{path}"), native_lane=native_lane, limit="20s")
        assert view.reason is Reason.NONE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_http_once, server)
            url = f"http+unix://{path.replace('/', '%2F')}/"
            assert (await verdict(HttpProbe(url), native_lane=native_lane, limit="20s")).reason is Reason.NONE


async def _serve_http_once(server: trio.socket.SocketType) -> None:
    while True:
        connection, _ = await server.accept()
        async with trio.SocketStream(connection) as stream:
            try:
                if await stream.receive_some():
                    await stream.send_all(OK)
                    return
            except trio.BrokenResourceError:  # the TCP probe's, which was reset
                continue


@lanes
async def test_a_unix_socket_that_nobody_made_fails(native_lane, tmp_path: Path):
    view = await verdict(TcpProbe(f"unix:{tmp_path}/none.sock"), native_lane=native_lane)
    assert (view.result, view.reason, view.detail) == (Result.FAIL, Reason.CONNECT_FAILED, errno.ENOENT)


@lanes
async def test_a_kept_connection_serves_run_after_run(native_lane):
    connections = 0

    async def serve(stream: trio.SocketStream, number: int) -> None:
        nonlocal connections
        connections = number
        while await stream.receive_some():
            await stream.send_all(OK)

    async with (
        serving(serve) as port,
        asking(HttpProbe(f"http://127.0.0.1:{port}/", keep_alive=True), native_lane=native_lane, limit="20s") as run,
    ):
        for _ in range(5):
            assert (await run()).reason is Reason.NONE
    assert connections == 1


KEPT = [
    ("the server says close", OK.replace(b"content", b"connection: close\r\ncontent")),
    ("more than was asked for", OK + b"HTTP/1.1 200 OK\r\n"),
]


@lanes
@pytest.mark.parametrize("answer", [row[1] for row in KEPT], ids=[row[0] for row in KEPT])
async def test_a_connection_that_is_not_to_be_trusted_is_not_kept(native_lane, answer):
    connections = 0

    async def serve(stream: trio.SocketStream, number: int) -> None:
        nonlocal connections
        connections = number
        while await stream.receive_some():
            await stream.send_all(answer)

    async with (
        serving(serve) as port,
        asking(HttpProbe(f"http://127.0.0.1:{port}/", keep_alive=True), native_lane=native_lane, limit="20s") as run,
    ):
        for _ in range(3):
            assert (await run()).reason is Reason.NONE
    assert connections == 3


@lanes
async def test_a_kept_connection_that_idles_is_closed_by_us_and_the_next_run_connects_anew(native_lane):
    ended = [trio.Event(), trio.Event()]

    async def serve(stream: trio.SocketStream, number: int) -> None:
        try:
            while await stream.receive_some():
                await stream.send_all(OK)
        finally:
            ended[number - 1].set()

    async with serving(serve) as port:
        probe = HttpProbe(f"http://127.0.0.1:{port}/", keep_alive=True, idle_timeout="200ms")
        async with asking(probe, native_lane=native_lane, limit="20s") as run:
            for end in ended:
                assert (await run()).reason is Reason.NONE
                await end.wait()  # no run comes, so the end is ours


@lanes
async def test_a_kept_connection_that_the_server_closes_is_replaced_unseen(native_lane):
    async def serve(stream: trio.SocketStream, _: int) -> None:
        await stream.receive_some()
        await stream.send_all(OK)

    async with (
        serving(serve) as port,
        asking(HttpProbe(f"http://127.0.0.1:{port}/", keep_alive=True), native_lane=native_lane, limit="20s") as run,
    ):
        assert [(await run()).reason for _ in range(4)] == [Reason.NONE] * 4


@lanes
async def test_a_kept_connection_that_dies_on_the_next_request_is_tried_once_more(native_lane):
    async def serve(stream: trio.SocketStream, number: int) -> None:
        await stream.receive_some()
        await stream.send_all(OK)
        if number == 1:
            await stream.receive_some()  # the second request is met by a close
        else:
            await trio.sleep_forever()

    async with (
        serving(serve) as port,
        asking(HttpProbe(f"http://127.0.0.1:{port}/", keep_alive=True), native_lane=native_lane, limit="20s") as run,
    ):
        assert [(await run()).reason for _ in range(2)] == [Reason.NONE] * 2


@lanes
async def test_no_descriptor_stays_open_after_leaving(native_lane):
    async def serve(stream: trio.SocketStream, _: int) -> None:
        while await stream.receive_some():
            await stream.send_all(OK)

    async with serving(serve) as port:
        probe = HttpProbe(f"http://127.0.0.1:{port}/", keep_alive=True)
        await verdict(probe, native_lane=native_lane, limit="20s")
        before = _descriptors()
        for _ in range(3):
            await verdict(probe, native_lane=native_lane, limit="20s")
        with trio.fail_after(60):
            while _descriptors() > before:  # the server's ends go when it hears of it
                await trio.sleep(0.01)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@lanes
async def test_a_process_without_descriptors_skips_and_blames_nobody(native_lane):
    async with (
        serving(answering()) as port,
        asking(TcpProbe(f"127.0.0.1:{port}"), native_lane=native_lane, limit="20s") as run,
    ):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = [os.open("/dev/null", os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
        with suppress(OSError):
            while True:  # holes below the bound
                taken.append(os.open("/dev/null", os.O_RDONLY))
        try:
            with pytest.raises(fp.SkippedError, match="descriptors"):
                await run()
        finally:
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await run()).reason is Reason.NONE


@lanes
async def test_a_removed_probe_lets_go_of_its_kept_connection(native_lane):
    gone = trio.Event()

    async def serve(stream: trio.SocketStream, _: int) -> None:
        try:
            while await stream.receive_some():
                await stream.send_all(OK)
        finally:
            gone.set()

    async with serving(serve) as port:
        diag = Diagnostics(Settings(host="test", max_probes=8, native_lane=native_lane))
        diag.add(
            HttpProbe(f"http://127.0.0.1:{port}/", keep_alive=True), name="it", interval="1h", initial_delay="1h", timeout="20s"
        )
        async with diag:
            with trio.fail_after(60):
                await diag.run_once("it")
                diag.remove("it")
                await gone.wait()


async def test_a_kind_that_only_the_engine_can_run_is_refused_without_a_native_lane():
    class OnlyNative:
        kind = "only_native"
        target = endpoint = "/nowhere"

        def compile(self, host: str, port: int) -> object:
            raise AssertionError("never asked")

    diag = Diagnostics(Settings(host="test", max_probes=8, native_lane=False))
    with pytest.raises(fp.ConfigError, match="needs the native lane"):
        diag.add_many([TcpProbe("127.0.0.1:1"), OnlyNative()])
    assert len(diag.snapshot().names) == 0
