"""The accept loop on real sockets, with visitors that misbehave."""

import errno
import logging
import socket
import stat
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server import connections
from meshkit_fastprobe.server.bodies import Bodies
from meshkit_fastprobe.server.connections import ConnectionLoop
from meshkit_fastprobe.server.listen import TcpAddress, UnixAddress, listening
from meshkit_fastprobe.server.reply import PagedReply, Reply

pytestmark = pytest.mark.integration

PATIENCE_S = 20.0
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


@asynccontextmanager
async def serving(answer, **options):
    """A Served over `answer` on a free port."""
    with listening(TcpAddress("127.0.0.1", 0)) as (sock, bound):
        async with trio.open_nursery() as nursery:
            loop = ConnectionLoop(Bodies(answer), **options)
            nursery.start_soon(loop.run, sock, trio.Event())
            yield Served(loop, bound.port, nursery.cancel_scope)
            nursery.cancel_scope.cancel()


@dataclass
class Served:
    loop: ConnectionLoop
    port: int
    scope: trio.CancelScope

    async def connect(self):
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(self, request=GET, wanted=b"HTTP/1.1"):
        """The whole conversation on a connection of its own: see drain."""
        async with await self.connect() as stream:
            with suppress(trio.BrokenResourceError):  # refused before all of it was read
                await stream.send_all(request)
            return await drain(stream, wanted)

    async def all_gone(self):
        with trio.fail_after(PATIENCE_S):
            while self.loop.open:
                await trio.sleep(0.01)


async def drain(stream, wanted=b"HTTP/1.1", silence_s=0.2):
    """What comes up to the close, or to a moment of silence once there is what was wanted."""
    text = b""
    try:
        while True:
            with trio.fail_after(silence_s if wanted in text else PATIENCE_S):
                received = await stream.receive_some(65536)
            if not received:
                return text
            text += received
    except (trio.TooSlowError, trio.BrokenResourceError):
        return text


async def hello(scope, receive, send):
    await Reply(200, "text/plain", b"hello")(scope, receive, send)


async def test_a_body_that_nobody_asked_for_neither_blocks_nor_leaks_the_connection():
    async def post(stream):
        try:
            await stream.send_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        except trio.BrokenResourceError:
            return

    async with serving(hello) as served:
        async with await served.connect() as stream, trio.open_nursery() as nursery:
            nursery.start_soon(post, stream)
            text = await drain(stream)
            nursery.cancel_scope.cancel()
        assert text.startswith(b"HTTP/1.1 200")
        await served.all_gone()


async def test_a_reader_that_stops_reading_does_not_hold_up_the_shutdown():
    async with serving(PagedReply("text/plain", (b"x" * 65536 for _ in range(10_000)))) as served:
        stream = await served.connect()
        await stream.send_all(GET)
        await stream.receive_some(10)
        await trio.sleep(0.1)  # until the socket's buffers are full and the server waits
        served.scope.cancel()
        with trio.CancelScope(shield=True):
            await served.all_gone()
            await stream.aclose()


async def test_a_reader_that_stops_reading_is_given_up(monkeypatch):
    monkeypatch.setattr(connections, "SEND_PATIENCE_S", 0.05)
    async with serving(PagedReply("text/plain", (b"x" * 65536 for _ in range(10_000)))) as served:
        stream = await served.connect()
        await stream.send_all(GET)
        await stream.receive_some(10)
        await served.all_gone()
        await stream.aclose()


@pytest.mark.parametrize("answer", [hello, PagedReply("text/plain", [b"he", b"llo"])])
async def test_a_visitor_that_asks_for_the_close_gets_it(answer):
    async with serving(answer) as served, await served.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        with trio.fail_after(PATIENCE_S):
            text = b""
            while received := await stream.receive_some(1000):
                text += received
        assert b"llo" in text
        await served.all_gone()


async def test_connections_beyond_the_bound_hear_503_and_the_others_go_on(caplog):
    async with serving(hello, max_connections=2) as served:
        first, second = await served.connect(), await served.connect()
        await first.send_all(GET)
        assert (await first.receive_some(1000)).startswith(b"HTTP/1.1 200")
        assert (await served.ask()).startswith(b"HTTP/1.1 503")
        await first.send_all(GET)
        assert b"hello" in await drain(first, b"hello")
        await first.aclose()
        await second.aclose()
        await served.all_gone()
        assert (await served.ask()).startswith(b"HTTP/1.1 200")
        assert served.loop.refused == 1
    assert "more than 2 connections at once" in caplog.text


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 10_000,
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzzzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200,
        b"\x00" * 64,
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: %%%\r\n\r\n",
        GET * 200,
    ],
)
async def test_garbage_ends_its_own_connection_only(garbage):
    async with serving(hello) as served:
        await served.ask(garbage, wanted=b"")  # some of it is answered, some is not
        await served.all_gone()
        assert (await served.ask()).startswith(b"HTTP/1.1 200")


async def test_an_app_that_fails_in_the_middle_of_an_answer_fails_alone(caplog):
    def pages():
        yield b"half"
        raise RuntimeError("in the middle")

    async with serving(PagedReply("text/plain", pages())) as served:
        text = await served.ask(wanted=b"half")
        assert b"half" in text
        assert not text.endswith(b"0\r\n\r\n")  # the reader can tell that it is cut
        await served.all_gone()
    assert "in the middle" in caplog.text


async def test_an_error_of_the_protocol_is_logged_and_contained(monkeypatch, caplog):
    async def broken(_connection):
        raise ExceptionGroup("connection", [UnicodeDecodeError("ascii", b"\xff", 0, 1, "broken")])

    async with serving(hello) as served:
        with monkeypatch.context() as patch:
            patch.setattr(connections.Connection, "run", broken)
            await served.ask()
        assert (await served.ask()).startswith(b"HTTP/1.1 200")
    assert "a connection ended in an error" in caplog.text


async def test_the_server_says_nothing_in_calm_weather(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    async with serving(hello) as served:
        await served.ask()
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_is_a_configuration_error_that_says_what_to_do():
    refused = pytest.raises(ConfigError, match="is in use; stop the process")
    with listening(TcpAddress("127.0.0.1", 0)) as (_, taken), refused, listening(taken):
        pass


def test_port_0_gives_the_port_it_got():
    with listening(TcpAddress("127.0.0.1", 0)) as (sock, bound):
        assert bound.port == sock.getsockname()[1] != 0


def test_a_unix_socket_is_for_its_owner_and_is_removed_at_the_end(tmp_path):
    path = tmp_path / "fp.sock"
    with listening(UnixAddress(str(path))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(str(path))
    assert list(tmp_path.iterdir()) == []


def test_a_unix_socket_left_behind_is_replaced_and_a_live_one_is_not(tmp_path):
    path = tmp_path / "fp.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    with listening(UnixAddress(str(path))):
        with pytest.raises(ConfigError, match="is in use"), listening(UnixAddress(str(path))):
            pass
        assert path.exists()


def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path):
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="not a socket"), listening(UnixAddress(str(path))):
        pass
    assert path.read_text() == "mine"


def test_a_socket_that_another_process_put_in_our_place_stays(tmp_path):
    path = tmp_path / "fp.sock"
    with listening(UnixAddress(str(path))), socket.socket(socket.AF_UNIX) as other:
        path.rename(tmp_path / "ours")
        other.bind(str(path))
    assert path.exists()


def test_a_missing_directory_is_named(tmp_path):
    with (
        pytest.raises(ConfigError, match="make the directory first") as caught,
        listening(UnixAddress(str(tmp_path / "no" / "s"))),
    ):
        pass
    assert caught.value.__cause__.errno == errno.ENOENT
