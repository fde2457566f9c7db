"""HTTP/3 from targets that mean harm: a QUIC server of aioquic's that does what no HTTP server would."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pylsqpack
import pytest
import trio
from aioquic.buffer import Buffer, encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent, StreamDataReceived
from aioquic.quic.packet import pull_quic_header
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from meshkit_fastprobe.model import Outcome, Reason
from meshkit_fastprobe.probes import http3
from meshkit_fastprobe.probes.http2 import MAX_INTERIM
from meshkit_fastprobe.probes.https import HttpsProbe
from meshkit_fastprobe.probes.tls_settings import Tls

pytestmark = pytest.mark.integration

Misbehave = Callable[[QuicConnection, QuicEvent], None]
DATA, HEADERS, GREASED = 0x0, 0x1, 0x21
REQUEST = 0


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded host may take seconds for a handshake, and would be told of silence."""
    monkeypatch.setattr(http3, "MAX_HANDSHAKE_S", 10.0)


def frame(kind: int, payload: bytes, length: int | None = None) -> bytes:
    return encode_uint_var(kind) + encode_uint_var(len(payload) if length is None else length) + payload


def on_request(act: Callable[[QuicConnection], None]) -> Misbehave:
    def misbehave(quic: QuicConnection, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived) and event.stream_id == REQUEST and event.end_stream:
            act(quic)

    return misbehave


def on_handshake(act: Callable[[QuicConnection], None]) -> Misbehave:
    return lambda quic, event: act(quic) if isinstance(event, HandshakeCompleted) else None


def answering(data: bytes) -> Misbehave:
    return on_request(lambda quic: quic.send_stream_data(REQUEST, data, end_stream=len(data) < 1000))


ENDLESS = 1 << 29
A_LOT = bytes(500_000)
SETTINGS_STREAM = b"\0\4\0"
INTERIM = frame(HEADERS, b"\0\0\xff\0")


def bomb(quic: QuicConnection) -> None:
    """A header of 3.9 KB in the dynamic table, and an answer that names it in each of its bytes."""
    encoder = pylsqpack.Encoder()
    table = encoder.apply_settings(4096, 16)
    for stream_id in (0, 4):  # what comes a second time is put into the table
        more, block = encoder.encode(stream_id, [(b"x-bomb", b"x" * 3900)])
        table += more
    quic.send_stream_data(3, SETTINGS_STREAM)
    quic.send_stream_data(7, b"\2" + table)
    quic.send_stream_data(REQUEST, frame(HEADERS, block[:2] + b"\xd9" + block[2:3] * 10_000), end_stream=True)


HOSTILE = {
    "a bomb of headers": (on_request(bomb), Reason.HTTP_PROTOCOL),
    "a body without headers": (answering(frame(DATA, b"ok")), Reason.HTTP_PROTOCOL),
    "headers that are none": (answering(frame(HEADERS, b"\xff" * 9)), Reason.HTTP_PROTOCOL),
    "nothing at all": (on_request(lambda quic: quic.send_stream_data(REQUEST, b"", end_stream=True)), Reason.HTTP_PROTOCOL),
    "an answer without a status": (answering(frame(HEADERS, b"\0\0")), Reason.HTTP_PROTOCOL),
    "an endless frame": (answering(frame(HEADERS, A_LOT, ENDLESS)), Reason.HTTP_HEADER_LIMIT),
    "an endless frame that nobody knows": (answering(frame(GREASED, A_LOT, ENDLESS)), Reason.HTTP_HEADER_LIMIT),
    "an endless stream of its own": (
        on_handshake(lambda quic: quic.send_stream_data(3, SETTINGS_STREAM + frame(GREASED, A_LOT, ENDLESS))),
        Reason.HTTP_HEADER_LIMIT,
    ),
    "endless interim answers": (answering(INTERIM * 500), Reason.HTTP_PROTOCOL),
    "a reset": (on_request(lambda quic: quic.reset_stream(REQUEST, 0x10C)), Reason.RESPONSE_RESET),
    "a goodbye in place of an answer": (
        on_request(lambda quic: quic.close(0x107, reason_phrase="\x1b[2Jbusy")),
        Reason.RESPONSE_CLOSED,
    ),
    "a goodbye before the question": (on_handshake(lambda quic: quic.close(0x107)), Reason.RESPONSE_CLOSED),
    "a refusal of our certificate": (
        on_handshake(lambda quic: quic.close(0x100 + 116, frame_type=6, reason_phrase="certificate required")),
        Reason.TLS_CLIENT_CERTIFICATE,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_becomes_its_reason(authority, name: str) -> None:
    misbehave, reason = HOSTILE[name]
    async with quic_server(authority, misbehave) as port:
        outcome = await ask(port, authority)
    assert outcome.reason is reason
    assert outcome.message.isprintable()


async def test_a_few_interim_answers_are_passed_over(authority) -> None:
    async with quic_server(authority, answering(INTERIM * MAX_INTERIM + frame(HEADERS, b"\0\0\xd9"))) as port:
        outcome = await ask(port, authority)
    assert (outcome.reason, outcome.detail) == (Reason.NONE, 200)


async def test_a_target_that_speaks_another_protocol_over_quic_did_not_choose_ours(authority) -> None:
    async with quic_server(authority, lambda *_: None, alpn="doq") as port:
        assert (await ask(port, authority)).reason is Reason.TLS_ALPN


async def test_bytes_that_are_no_quic_are_no_answer(authority, monkeypatch) -> None:
    monkeypatch.setattr(http3, "MAX_HANDSHAKE_S", 1.0)

    async def babble(sock: Any) -> None:
        while True:
            _, address = await sock.recvfrom(65536)
            for size in (1, 20, 1200):
                await sock.sendto(b"\xc0" + bytes(range(256))[:size] * 2, address)

    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(babble, sock)
            outcome = await ask(sock.getsockname()[1], authority)
            nursery.cancel_scope.cancel()
    assert dict(outcome.facts) == {"http3": "connect_timeout"}
    assert outcome.reason is Reason.CONNECT_REFUSED  # by TCP, where nobody listens either


async def ask(port: int, authority: Any) -> Outcome:
    probe = HttpsProbe(f"https://127.0.0.1:{port}/", version="3", tls=Tls(ca_file=authority.file))
    with trio.fail_after(20):
        return await probe.interpret("127.0.0.1", port).check()


@asynccontextmanager
async def quic_server(authority: Any, misbehave: Misbehave, alpn: str = "h3") -> AsyncIterator[int]:
    """For one connection."""
    leaf = authority.ca.issue_cert("127.0.0.1")
    configuration = QuicConfiguration(is_client=False, alpn_protocols=[alpn])
    configuration.certificate = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    configuration.private_key = load_pem_private_key(leaf.private_key_pem.bytes(), None)

    async def serve(sock: Any) -> None:
        data, address = await sock.recvfrom(65536)
        first = pull_quic_header(Buffer(data=data), host_cid_length=8).destination_cid
        quic = QuicConnection(configuration=configuration, original_destination_connection_id=first)
        quic.receive_datagram(data, address, now=trio.current_time())
        while True:
            while (event := quic.next_event()) is not None:
                if isinstance(event, ConnectionTerminated):
                    return
                misbehave(quic, event)
            for datagram, _ in quic.datagrams_to_send(now=trio.current_time()):
                await sock.sendto(datagram, address)
            with trio.move_on_at(quic.get_timer() or math.inf) as waiting:
                data, _ = await sock.recvfrom(65536)
                quic.receive_datagram(data, address, now=trio.current_time())
            if waiting.cancelled_caught:
                quic.handle_timer(now=trio.current_time())

    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, sock)
            yield sock.getsockname()[1]
            nursery.cancel_scope.cancel()
