"""The watch probe against servers that stream, fall silent, forget, repeat themselves, and leave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.tls_settings import Tls
from meshkit_fastprobe.probes.watch import WatchProbe, WatchTarget

pytestmark = pytest.mark.integration

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n"
Serve = Callable[[Any, str], Awaitable[None]]


class Server:
    """Counts who is connected; `serve` gets the stream and the token that was asked for."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.tokens: list[str] = []
        self.open = 0

    async def handle(self, stream: Any) -> None:
        self.open += 1
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                data = await stream.receive_some(4096)
                if not data:
                    return
                request += data
            headers = dict(line.split(": ", 1) for line in request.decode().lower().split("\r\n")[1:-2])
            self.tokens.append(headers.get("last-event-id", ""))
            await self._serve(stream, self.tokens[-1])
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            self.open -= 1
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[tuple[Server, int]]:
    server = Server(serve)
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.handle, [listener])
        yield server, listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def watching(serve: Serve, **options: Any) -> AsyncIterator[tuple[WatchTarget, Server]]:
    async with serving(serve) as (server, port):
        target = WatchProbe(f"http://127.0.0.1:{port}/", **options).interpret("127.0.0.1", port)
        try:
            with trio.fail_after(60):
                yield target, server
        finally:
            target.close()


async def until(target: WatchTarget, reason: Reason) -> Outcome:
    while True:
        outcome = await target.check()
        if outcome.reason is reason:
            return outcome
        await trio.sleep(0.02)


async def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.sleep(0.01)


async def hold(stream: Any) -> None:
    """Until the client has gone."""
    while await stream.receive_some(4096):
        pass


async def calm(stream: Any, _: str) -> None:
    await stream.send_all(HEAD + b"id: 1\ndata: hello\n\n")
    await hold(stream)


async def counting(stream: Any, token: str) -> None:
    """As it should be: goes on after the token."""
    await stream.send_all(HEAD + f"id: {int(token or 0) + 1}\ndata: x\n\n".encode())
    await hold(stream)


async def test_one_stream_serves_many_runs() -> None:
    async with watching(calm) as (target, server):
        outcomes = [await target.check() for _ in range(5)]
        assert {outcome.result for outcome in outcomes} == {Result.OK}
        assert [outcome.phases.connect_s is None for outcome in outcomes] == [False, True, True, True, True]
        assert len(server.tokens) == 1


async def test_a_stream_that_says_nothing_more_is_silent_until_it_speaks() -> None:
    speak = trio.Event()

    async def shy(stream: Any, _: str) -> None:
        await stream.send_all(HEAD)
        await speak.wait()
        while True:
            await stream.send_all(b":\n")
            await trio.sleep(0.01)

    async with watching(shy, heartbeat_s=0.5) as (target, _):
        assert (await target.check()).result is Result.OK
        silent = await until(target, Reason.STREAM_SILENT)
        assert silent.result is Result.FAIL
        assert (await target.check()).reason is Reason.STREAM_SILENT  # a new connection alone is no word
        speak.set()
        assert (await until(target, Reason.NONE)).result is Result.OK


async def test_a_stream_that_spoke_and_was_ended_is_opened_again() -> None:
    async def brief(stream: Any, _: str) -> None:
        await stream.send_all(HEAD + b"data: hello\n\n")

    async with watching(brief) as (target, server):
        for number in range(1, 4):
            assert (await target.check()).result is Result.OK
            assert len(server.tokens) == number
            await wait_for(lambda: target._stream.ended is not None)


async def test_a_stream_that_ends_without_a_word_fails_at_every_run_that_finds_it_so() -> None:
    async def mute(stream: Any, _: str) -> None:
        await stream.send_all(HEAD)

    async with watching(mute) as (target, _):
        await target.check()
        for _number in range(3):
            await wait_for(lambda: target._stream.ended is not None)
            assert (await target.check()).reason is Reason.RESPONSE_CLOSED


async def test_with_resume_each_run_goes_on_after_the_last_event() -> None:
    async with watching(counting, resume="gapless") as (target, server):
        for number in range(1, 5):
            assert (await target.check()).reason is Reason.NONE
            await wait_for(lambda number=number: target._stream.token == str(number))
        assert server.tokens == ["", "1", "2", "3"]
        await wait_for(lambda: server.open == 1)


@pytest.mark.parametrize(
    ("first", "resume", "reason"),
    [
        (lambda token: token, "token", Reason.STREAM_RESUME),
        (lambda token: int(token) + 3, "token", Reason.NONE),
        (lambda token: int(token) + 3, "gapless", Reason.STREAM_RESUME),
        (lambda _: 1, "gapless", Reason.STREAM_RESUME),
        (lambda _: 1, "off", Reason.NONE),
    ],
    ids=["the same again", "a gap that is allowed", "a gap", "from the beginning", "not asked"],
)
async def test_a_gap_after_a_reconnection_is_told(first: Callable[[str], Any], resume: str, reason: Reason) -> None:
    async def forgetful(stream: Any, token: str) -> None:
        await stream.send_all(HEAD + f"id: {first(token) if token else 5}\n\n".encode())
        await hold(stream)

    async with watching(forgetful, resume=resume) as (target, _):
        for run in range(4):
            outcome = await target.check()
            assert outcome.reason is (reason if run > 1 else Reason.NONE)
            await wait_for(lambda: bool(target._stream.lines))


async def test_a_token_that_is_refused_is_told_and_the_stream_goes_on_without_it() -> None:
    async def strict(stream: Any, token: str) -> None:
        await stream.send_all(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n" if token else HEAD + b"id: 5\n\n")
        await hold(stream)

    async with watching(strict, resume="token") as (target, server):
        assert (await target.check()).reason is Reason.NONE
        await wait_for(lambda: bool(target._stream.lines))
        refused = await target.check()
        assert (refused.result, refused.reason, refused.detail) == (Result.FAIL, Reason.STREAM_RESUME, 410)
        assert server.tokens == ["", "5", ""]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n", Reason.HTTP_STATUS),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>", Reason.HEADER_MISMATCH),
        (b"HTTP/1.1 200 OK\r\n\r\n", Reason.HEADER_MISMATCH),
        (b"SSH-2.0-server\r\n", Reason.HTTP_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 40_000, Reason.HTTP_HEADER_LIMIT),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, Reason.HTTP_HEADER_LIMIT),
        (b"", Reason.RESPONSE_CLOSED),
    ],
    ids=["status", "html", "no type", "no http", "endless header", "endless interim", "nothing"],
)
async def test_what_is_no_stream_fails_at_every_run(answer: bytes, reason: Reason) -> None:
    async def serve(stream: Any, _: str) -> None:
        await stream.send_all(answer)
        if answer:
            await hold(stream)

    async with watching(serve) as (target, server):
        for _number in range(2):
            assert (await target.check()).reason is reason
        await wait_for(lambda: server.open == 0)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"data: " + b"x" * 70_000, Reason.HTTP_BODY_LIMIT), (b"", Reason.RESPONSE_CLOSED)],
    ids=["endless line", "nothing"],
)
async def test_what_is_sent_later_is_bounded(sent: bytes, reason: Reason) -> None:
    async def serve(stream: Any, _: str) -> None:
        await stream.send_all(HEAD)
        await stream.send_all(sent)

    async with watching(serve) as (target, _):
        await target.check()
        await wait_for(lambda: target._stream.ended is not None)
        assert (await target.check()).reason is reason


async def test_a_wrong_chunk_within_the_stream_is_told() -> None:
    async def serve(stream: Any, _: str) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        await stream.send_all(head + b"2\r\n:\n\r\n-1\r\n")
        await hold(stream)

    async with watching(serve) as (target, _):
        await until(target, Reason.HTTP_PROTOCOL)


async def test_a_torrent_is_read_as_it_comes_and_nothing_of_it_is_kept() -> None:
    sent = 0

    async def torrent(stream: Any, _: str) -> None:
        nonlocal sent
        await stream.send_all(HEAD)
        while True:
            await stream.send_all(b"data: and so on\n\n" * 4096)
            sent += 17 * 4096

    async with watching(torrent) as (target, _):
        assert (await target.check()).result is Result.OK
        await wait_for(lambda: sent > 30_000_000)  # more than the kernel would hold for a reader that lets it lie
        assert (await target.check()).result is Result.OK
        assert len(target._stream._events._rest) < 65536


async def test_over_tls_the_stream_stands_and_the_certificate_must_be_good(authority, tls_server) -> None:
    server = Server(counting)
    async with tls_server(authority.context("127.0.0.1"), server.handle) as port:
        good = WatchProbe(f"https://127.0.0.1:{port}/", resume="gapless", tls=Tls(ca_file=authority.file))
        target = good.interpret("127.0.0.1", port)
        for _ in range(3):
            assert (await target.check()).reason is Reason.NONE
            await wait_for(lambda: bool(target._stream.lines))
        target.close()
        stranger = WatchProbe(f"https://127.0.0.1:{port}/").interpret("127.0.0.1", port)
        assert (await stranger.check()).reason is Reason.TLS_UNTRUSTED
        await wait_for(lambda: server.open == 0)


async def test_where_nobody_listens_is_told_as_by_tcp() -> None:
    with trio.socket.socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert (
            await WatchProbe(f"http://127.0.0.1:{port}/").interpret("127.0.0.1", port).check()
        ).reason is Reason.CONNECT_REFUSED


async def test_a_run_that_is_cut_leaves_no_connection_behind() -> None:
    async def silent(stream: Any, _: str) -> None:
        await hold(stream)

    async with watching(silent) as (target, server):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(target.check)
                await wait_for(lambda: bool(server.tokens))
                scope.cancel()
        assert target.timed_out.reason is Reason.RESPONSE_TIMEOUT
        await wait_for(lambda: server.open == 0)


async def test_a_runtime_keeps_the_stream_and_closes_it_with_the_probe_and_with_itself() -> None:
    async with serving(calm) as (server, port):
        before = descriptors()
        diag = fp.Diagnostics(fp.Settings(host="test"))
        for name in ("kept", "removed"):
            diag.add(fp.WatchProbe(f"http://127.0.0.1:{port}/"), name=name, interval="1h", initial_delay="1h", timeout="20s")
        with trio.fail_after(60):
            async with diag:
                for name in ("kept", "removed", "kept", "removed"):
                    assert (await diag.run_once(name)).result is Result.OK
                assert (len(server.tokens), server.open) == (2, 2)
                diag.remove("removed")
                await wait_for(lambda: server.open == 1)
            await wait_for(lambda: server.open == 0)
            await wait_for(lambda: descriptors() <= before)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
