"""Hosts that answer badly, or not at all: every one ends as a reason in plain words."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from meshkit_fastprobe.cli import wire
from meshkit_fastprobe.cli.wire import NoAnswerError, Wire

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Serve = Callable[[Callable[[socket.socket, int], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server; what it does with its nth connection is the test's."""
    stop: list[Callable[[], None]] = []

    def start(talk: Callable[[socket.socket, int], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        talking: list[threading.Thread] = []

        def converse(peer: socket.socket, number: int) -> None:
            with peer, contextlib.suppress(OSError):
                talk(peer, number)

        def accept() -> None:
            for number in range(100):
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                talking.append(threading.Thread(target=converse, args=(peer, number)))
                talking[-1].start()

        thread = threading.Thread(target=accept)
        thread.start()

        def end() -> None:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            for each in (thread, *talking):
                each.join(20)

        stop.append(end)
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for end in stop:
        end()


def request_of(peer: socket.socket) -> bytes:
    told = b""
    while b"\r\n\r\n" not in told:
        piece = peer.recv(65536)
        if not piece:
            break
        told += piece
    return told


def get(client: Wire, url: str) -> bytes:
    return client.ask("GET", url, "/x", [("name", "a b"), ("label", "k=v")], {}).body


def test_parameters_are_quoted_and_one_connection_serves_several_requests(serve):
    heard = []

    def talk(peer, number):
        while told := request_of(peer):
            heard.append((number, told.split(b" ")[1]))
            peer.sendall(OK)

    client, url = Wire(), serve(talk)
    assert [get(client, url), get(client, url)] == [b"ok", b"ok"]
    assert heard == [(0, b"/x?name=a+b&label=k%3Dv")] * 2
    client.close()


def test_a_kept_connection_that_died_is_no_failure_of_what_only_reads(serve):
    def talk(peer, _number):
        request_of(peer)
        peer.sendall(OK)  # and hangs up, though it promised not to

    client, url = Wire(), serve(talk)
    assert [get(client, url), get(client, url), get(client, url)] == [b"ok"] * 3
    client.close()


def test_what_changes_something_is_never_sent_twice(serve):
    asked = []

    def talk(peer, number):
        while told := request_of(peer):
            asked.append(told.split(b" ")[0])
            if told.startswith(b"POST"):
                return
            peer.sendall(OK)

    client, url = Wire(), serve(talk)
    get(client, url)
    with pytest.raises(NoAnswerError, match="hung up without an answer"):
        client.ask("POST", url, "/x", [], {})
    assert asked == [b"GET", b"POST"]


def test_a_compressed_answer_is_read(serve):
    body = gzip.compress(b"much " * 1000)

    def talk(peer, _number):
        request_of(peer)
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        peer.sendall(head % len(body) + body)

    assert get(Wire(), serve(talk)) == b"much " * 1000


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "hung up without an answer"),
        (b"SSH-2.0-OpenSSH_9.7\r\n", "does not speak HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x50", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "answer broken off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhuh?", "not gzip"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "answer broken off"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "answer broken off"),
    ],
)
def test_an_answer_that_is_none_ends_as_a_reason(serve, answer, reason):
    def talk(peer, _number):
        request_of(peer)
        peer.sendall(answer)

    with pytest.raises(NoAnswerError, match=reason):
        get(Wire(), serve(talk))


def test_a_body_that_never_ends_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(wire, "TIMEOUT_S", 0.3)

    def talk(peer, _number):
        request_of(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            peer.sendall(b".")
            threading.Event().wait(0.02)

    with pytest.raises(NoAnswerError, match="no answer within"):
        get(Wire(), serve(talk))


def test_what_takes_a_host_its_time_is_waited_for_when_that_is_known(serve, monkeypatch):
    monkeypatch.setattr(wire, "TIMEOUT_S", 0.2)

    def talk(peer, _number):
        request_of(peer)
        threading.Event().wait(0.6)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nGone")

    url = serve(talk)
    with pytest.raises(NoAnswerError, match="no answer within 0 s"):
        Wire().ask("POST", url, "/stop", [], {})
    with pytest.raises(NoAnswerError, match="no answer within 0 s"):
        Wire().ask("POST", url, "/stop", [], {}, answer_s=0.4)
    assert Wire().ask("POST", url, "/stop", [], {}, answer_s=5.0).body == b"Gone"


def test_a_bomb_is_not_unpacked(serve, monkeypatch):
    monkeypatch.setattr(wire, "MAX_BODY", 10_000)
    body = gzip.compress(b"0" * 1_000_000)

    def talk(peer, _number):
        request_of(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with pytest.raises(NoAnswerError, match="more than"):
        get(Wire(), serve(talk))


def test_nobody_there_and_no_such_name_are_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(NoAnswerError, match="connection refused"):
        get(Wire(), url)


def test_a_stream_that_falls_silent_is_told(serve):
    done = threading.Event()

    def talk(peer, _number):
        request_of(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhello\r\n\r\n")
        done.wait(20)

    lines = Wire().lines(serve(talk), "/events", [], {}, 0.2)
    assert next(lines) == "hello"
    with pytest.raises(NoAnswerError, match="nothing was heard"):
        next(lines)
    done.set()
