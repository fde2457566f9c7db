"""The HTTPS probe, by HTTP/1.1 and HTTP/2, against servers that redirect in loops, send bombs, and break off."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import trio
from hyperframe.frame import GoAwayFrame

import meshkit_fastprobe as fp
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.http_expect import HttpExpect
from meshkit_fastprobe.probes.https import HttpsProbe, HttpsTarget
from meshkit_fastprobe.probes.tls_settings import Tls

pytestmark = pytest.mark.integration

Answer = tuple[int, list[tuple[str, str]], bytes]
Respond = Callable[[str], Answer]
VERSIONS = ["1.1", "2"]


def fine(_: str) -> Answer:
    return 200, [("x-served-by", "test")], b"all is ok"


def over_http1(respond: Respond, *, answers: int = 1) -> Callable[[trio.SSLStream], Awaitable[None]]:
    async def serve(stream: trio.SSLStream) -> None:
        for number in range(answers):
            request = b""
            while b"\r\n\r\n" not in request:
                data = await stream.receive_some(4096)
                if not data:
                    return
                request += data
            status, headers, body = respond(request.split(b" ")[1].decode())
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
            head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
            await stream.send_all(head.encode() + body)
            del number

    return serve


def over_http2(respond: Respond, *, answers: int = 1) -> Callable[[trio.SSLStream], Awaitable[None]]:
    async def serve(stream: trio.SSLStream) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="ascii"))
        connection.initiate_connection()
        answered = 0
        while answered < answers:
            await stream.send_all(connection.data_to_send())
            data = await stream.receive_some(65536)
            if not data:
                return
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    status, headers, body = respond(dict(event.headers)[":path"])
                    connection.send_headers(event.stream_id, [(":status", str(status)), *headers])
                    for part in _parts(body, 16384):
                        connection.send_data(event.stream_id, part)
                    connection.end_stream(event.stream_id)
                    answered += 1
        await stream.send_all(connection.data_to_send())

    return serve


async def test_an_answer_passes_by_either_version(ask, version: str) -> None:
    outcome = await ask(fine, expect=HttpExpect(status=(200,), headers={"X-Served-By": "te"}, body_contains="is ok"))
    assert (outcome.result, outcome.detail) == (Result.OK, 200)
    assert outcome.facts == (("protocol", f"HTTP/{version}"),)
    phases = outcome.phases
    assert phases is not None
    assert 0 < phases.connect_s < phases.tls_s < phases.total_s


@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        ((503, [], b""), {}, Reason.HTTP_STATUS),
        ((200, [], b""), {"expect": HttpExpect(headers={"x-served-by": ""})}, Reason.HEADER_MISMATCH),
        ((200, [], b"all is lost"), {"expect": HttpExpect(body_contains="is ok")}, Reason.BODY_MISMATCH),
        ((200, [], b"x" * 5000), {"max_body_bytes": 4999}, Reason.HTTP_BODY_LIMIT),
        ((200, [("x-long", "x" * 17_000)], b""), {}, Reason.HTTP_HEADER_LIMIT),
    ],
    ids=["status", "header", "body", "too much body", "too many headers"],
)
async def test_an_answer_that_is_not_expected_fails(ask, answer: Answer, options: dict[str, Any], reason: Reason) -> None:
    outcome = await ask(lambda _: answer, **options)
    assert (outcome.result, outcome.reason) == (Result.FAIL, reason)


async def test_a_compressed_bomb_is_never_inflated(ask) -> None:
    bomb = gzip.compress(bytes(32 * 1024 * 1024))
    outcome = await ask(lambda _: (200, [("content-encoding", "gzip")], bomb))
    assert len(bomb) < 64 * 1024
    assert outcome.result is Result.OK
    assert (await ask(lambda _: (200, [], bomb), max_body_bytes=1024)).reason is Reason.HTTP_BODY_LIMIT


async def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(ask) -> None:
    def respond(path: str) -> Answer:
        return (302, [("location", "/there?a=b#part")], b"") if path == "/" else (200, [], path.encode())

    assert (await ask(respond)).reason is Reason.HTTP_STATUS
    assert (await ask(respond, expect=HttpExpect(status=(302,)))).result is Result.OK
    followed = await ask(respond, max_redirects=1, expect=HttpExpect(body_contains="/there?a=b"))
    assert (followed.result, followed.detail) == (Result.OK, 200)


async def test_redirects_in_a_loop_end_at_the_bound(ask) -> None:
    paths: list[str] = []

    def respond(path: str) -> Answer:
        paths.append(path)
        return 301, [("location", path + "x")], b""

    outcome = await ask(respond, max_redirects=3)
    assert (outcome.reason, outcome.detail) == (Reason.HTTP_REDIRECT, 301)
    assert paths == ["/", "/x", "/xx", "/xxx"]


@pytest.mark.parametrize(
    "location", ["https://127.0.0.2/", "http://127.0.0.1/", "//example.org/", "https://u:p@127.0.0.1/", "ftp:x"]
)
async def test_a_redirect_elsewhere_is_not_followed(ask, location: str) -> None:
    assert (await ask(lambda _: (302, [("location", location)], b""), max_redirects=5)).reason is Reason.HTTP_REDIRECT


async def test_a_kept_connection_is_used_again_and_replaced_when_it_dies(authority, tls_server, version: str) -> None:
    connections = 0
    serve = SERVERS[version](fine, answers=2)

    async def counted(stream: trio.SSLStream) -> None:
        nonlocal connections
        connections += 1
        await serve(stream)

    async with tls_server(server_context(authority, version), counted) as port:
        target = target_at(port, authority, version=version, keep_alive=True)
        for _ in range(5):
            assert (await target.check()).result is Result.OK
        target.close()
    assert connections == 3


UNASKED = b"HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("at_once", [True, False], ids=["with the answer", "later"])
async def test_what_a_kept_connection_says_between_two_runs_is_no_answer(authority, tls_server, at_once: bool) -> None:
    connections = 0

    async def serve(stream: trio.SSLStream) -> None:
        nonlocal connections
        connections += 1
        wire = Wire(stream)
        await over_http1(fine)(stream)
        if not at_once:
            await wire.send()
        await stream.send_all(UNASKED)
        await wire.send()
        await stream.receive_some(1)

    async with tls_server(server_context(authority, "1.1"), serve) as port:
        target = target_at(port, authority, version="1.1", keep_alive=True)
        for _ in range(3):
            assert (await target.check()).result is Result.OK
            await trio.sleep(0.05)
        target.close()
    assert connections == 3


class Wire:
    """Holds back what a server's TLS sends, so that several records leave together."""

    def __init__(self, stream: trio.SSLStream) -> None:
        self._send_all = stream.transport_stream.send_all
        self._held = b""
        stream.transport_stream.send_all = self._hold

    async def _hold(self, data: bytes) -> None:
        self._held += data

    async def send(self) -> None:
        held, self._held = self._held, b""
        await self._send_all(held)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tickets_right_after_the_handshake_end_no_kept_connection(authority, tls_server, newest: ssl.TLSVersion) -> None:
    connections = 0
    context = server_context(authority, "1.1")
    context.maximum_version = newest

    async def serve(stream: trio.SSLStream) -> None:
        nonlocal connections
        connections += 1
        tickets, stream._delayed_outgoing = stream._delayed_outgoing, None  # trio has them wait, OpenSSL's own servers do not
        await stream.transport_stream.send_all(tickets or b"")
        assert bool(tickets) is (newest is ssl.TLSVersion.TLSv1_3)
        await over_http1(fine, answers=9)(stream)

    async with tls_server(context, serve) as port:
        target = target_at(port, authority, version="1.1", keep_alive=True)
        for _ in range(3):
            assert (await target.check()).result is Result.OK
            await trio.sleep(0.02)
        target.close()
    assert connections == 1


async def test_without_keep_alive_every_run_connects(authority, tls_server, version: str) -> None:
    connections = 0

    async def counted(stream: trio.SSLStream) -> None:
        nonlocal connections
        connections += 1
        await SERVERS[version](fine, answers=2)(stream)

    async with tls_server(server_context(authority, version), counted) as port:
        target = target_at(port, authority, version=version)
        for _ in range(3):
            assert (await target.check()).result is Result.OK
    assert connections == 3


async def test_a_connection_closed_in_place_of_an_answer_fails(authority, tls_server, version: str) -> None:
    async def close(stream: trio.SSLStream) -> None:
        await stream.receive_some(4096)

    async with tls_server(server_context(authority, version), close) as port:
        outcome = await target_at(port, authority, version=version).check()
    assert outcome.reason in {Reason.RESPONSE_CLOSED, Reason.RESPONSE_RESET}


async def test_garbage_in_place_of_an_answer_fails(authority, tls_server, version: str) -> None:
    async def garbage(stream: trio.SSLStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(b"\xffwhat is this, if not a protocol that nobody knows?\r\n\r\n" * 10)
        await stream.receive_some(4096)

    async with tls_server(server_context(authority, version), garbage) as port:
        assert (await target_at(port, authority, version=version).check()).reason is Reason.HTTP_PROTOCOL


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("reset", Reason.RESPONSE_RESET), ("goaway", Reason.RESPONSE_CLOSED), ("interim", Reason.HTTP_PROTOCOL)],
)
async def test_http2_that_is_ended_by_the_server_fails(authority, tls_server, ending: str, reason: Reason) -> None:
    async def serve(stream: trio.SSLStream) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        connection.receive_data(await stream.receive_some(65536))
        if ending == "reset":
            connection.reset_stream(1, 11)
        elif ending == "goaway":
            connection.close_connection(last_stream_id=0)
        else:
            for _ in range(5):
                connection.send_headers(1, [(":status", "103")])
        await stream.send_all(connection.data_to_send())
        await stream.receive_some(65536)

    async with tls_server(server_context(authority, "2"), serve) as port:
        outcome = await target_at(port, authority, version="2").check()
    assert outcome.reason is reason
    assert outcome.detail == (11 if ending == "reset" else 0)


FAREWELLS = {
    "before an answer": lambda headers, data: [goaway(1) + headers + data],
    "before an answer, with a second to follow": lambda headers, data: [goaway(2**31 - 1), headers + goaway(1) + data],
    "amid an answer": lambda headers, data: [headers, goaway(1) + data],
    "after an answer": lambda headers, data: [headers + data + goaway(1)],
}


@pytest.mark.parametrize("name", FAREWELLS)
async def test_http2_that_is_drained_still_answers_and_is_not_kept(authority, tls_server, name: str) -> None:
    connections = 0

    async def serve(stream: trio.SSLStream) -> None:
        nonlocal connections
        connections += 1
        await farewell(stream, FAREWELLS[name])

    async with tls_server(server_context(authority, "2"), serve) as port:
        target = target_at(port, authority, version="2", keep_alive=True, expect=HttpExpect(body_contains="is ok"))
        for _ in range(2):
            with trio.fail_after(20):
                assert (await target.check()).result is Result.OK
        target.close()
    assert connections == 2


@pytest.mark.parametrize(("last_stream", "error"), [(0, 0), (1, 2), (0, 11)])
async def test_a_farewell_that_leaves_the_request_out_or_names_an_error_ends_it(
    authority, tls_server, last_stream: int, error: int
) -> None:
    async def serve(stream: trio.SSLStream) -> None:
        await farewell(stream, lambda *_: [goaway(last_stream, error)])

    async with tls_server(server_context(authority, "2"), serve) as port:
        outcome = await target_at(port, authority, version="2").check()
    assert (outcome.reason, outcome.detail) == (Reason.RESPONSE_CLOSED, error)


async def test_a_server_without_http2_fails_where_it_is_asked_for_and_serves_otherwise(authority, tls_server) -> None:
    async with tls_server(server_context(authority, "1.1"), over_http1(fine)) as port:
        assert (await target_at(port, authority, version="2").check()).reason is Reason.TLS_ALPN
        assert (await target_at(port, authority, version="auto").check()).facts == (("protocol", "HTTP/1.1"),)


async def test_a_certificate_for_another_name_fails_before_anything_is_sent(authority, tls_server) -> None:
    async with tls_server(authority.context("example.org"), over_http1(fine)) as port:
        assert (await target_at(port, authority).check()).reason is Reason.TLS_HOSTNAME


async def test_silence_after_the_handshake_is_a_missing_answer(authority, tls_server, version: str) -> None:
    async def silent(_: trio.SSLStream) -> None:
        await trio.sleep_forever()

    async with tls_server(server_context(authority, version), silent) as port:
        target = target_at(port, authority, version=version)
        with trio.move_on_after(0.3) as scope:
            await target.check()
    assert scope.cancelled_caught
    assert target.timed_out.reason is Reason.RESPONSE_TIMEOUT


async def test_a_runtime_runs_it_in_the_task_lane(authority, tls_server) -> None:
    diag = fp.Diagnostics(fp.Settings(host="test"))
    async with tls_server(server_context(authority, "2"), over_http2(fine)) as port:
        probe = fp.HttpsProbe(f"https://127.0.0.1:{port}/", tls=fp.Tls(ca_file=authority.file), keep_alive=True)
        diag.add(probe, name="https", interval="30s", timeout="20s")
        async with diag:
            assert (await diag.run_once("https")).state is fp.State.HEALTHY


SERVERS = {"1.1": over_http1, "2": over_http2}


def goaway(last_stream: int, error: int = 0) -> bytes:
    return GoAwayFrame(last_stream_id=last_stream, error_code=error).serialize()


async def farewell(
    stream: Any,
    parts: Callable[[bytes, bytes], list[bytes]],
    *,
    headers: Iterable[tuple[str, str]] = ((":status", "200"),),
    body: bytes = b"is ok",
    trailers: Iterable[tuple[str, str]] = (),
) -> None:
    """Answer one request over HTTP/2 by these parts, which are made of its frames: h2 sends nothing after a GOAWAY."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    asked = False
    while not asked:
        events = connection.receive_data(await stream.receive_some(65536))
        asked = any(isinstance(event, h2.events.StreamEnded) for event in events)
        await stream.send_all(connection.data_to_send())
    connection.send_headers(1, headers)
    head = connection.data_to_send()
    connection.send_data(1, body, end_stream=not trailers)
    if trailers:
        connection.send_headers(1, trailers, end_stream=True)
    for part in parts(head, connection.data_to_send()):
        await stream.send_all(part)
        await trio.sleep(0.02)  # so that each is read on its own
    while await stream.receive_some(65536):
        pass


def server_context(authority: Any, version: str) -> ssl.SSLContext:
    context: ssl.SSLContext = authority.context("127.0.0.1")
    context.set_alpn_protocols(["h2"] if version == "2" else ["http/1.1"])
    return context


def target_at(port: int, authority: Any, *, tls: dict[str, Any] | None = None, **options: Any) -> HttpsTarget:
    settings = Tls(ca_file=authority.file, **(tls or {}))
    return HttpsProbe(f"https://127.0.0.1:{port}/", tls=settings, **options).interpret("127.0.0.1", port)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ask(authority, tls_server, version: str) -> Callable[..., Awaitable[Outcome]]:
    async def run(respond: Respond, **options: Any) -> Outcome:
        async with tls_server(server_context(authority, version), SERVERS[version](respond)) as port:
            target = target_at(port, authority, version=version, **options)
            with trio.fail_after(20):
                return await target.check()

    return run


def _parts(body: bytes, size: int) -> Iterable[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))
