"""The DNS probe, on both lanes, against a name server on loopback that misbehaves in every way a datagram can."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from meshkit_fastprobe import Diagnostics, Settings
from meshkit_fastprobe.aggregation.snapshot import ProbeView
from meshkit_fastprobe.model import Reason, Result
from meshkit_fastprobe.probes.dns import DnsExpect, DnsProbe
from meshkit_fastprobe.probes.dns_wire import TYPES
from tests.dns_message import TRUNCATED, Message, Question, Record, decode, encode, query, reply

pytestmark = pytest.mark.integration

lanes = pytest.mark.parametrize("native_lane", [True, False], ids=["native", "task"])

ADDRESS = Record("example.org", TYPES["A"], 60, "192.0.2.1")
Answer = Callable[[Message, bytes], list[bytes]]


@asynccontextmanager
async def name_server(over_udp: Answer, over_tcp: Answer | None = None) -> AsyncIterator[str]:
    """A server that answers each question with whatever datagrams (or bytes of a stream) its functions return."""
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        listener, port = await _bind_both(udp)
        async with listener, trio.open_nursery() as nursery:
            nursery.start_soon(_serve_udp, udp, over_udp)
            if over_tcp is not None:
                nursery.start_soon(trio.serve_listeners, _tcp_handler(over_tcp), [listener])
            yield f"127.0.0.1:{port}"
            nursery.cancel_scope.cancel()


@lanes
async def test_an_answer_passes_with_the_time_it_took(native_lane: bool) -> None:
    async with name_server(lambda asked, _: [encode(reply(asked, (ADDRESS,)))]) as server:
        outcome = await _check(DnsProbe(server, "example.org"), native_lane)
    assert outcome.result is Result.OK
    assert outcome.latency_s is not None
    assert 0 < outcome.latency_s < 5


@lanes
async def test_an_unexpected_address_fails(native_lane: bool) -> None:
    async with name_server(lambda asked, _: [encode(reply(asked, (ADDRESS,)))]) as server:
        outcome = await _check(DnsProbe(server, "example.org", expect=DnsExpect(answers=("192.0.2.2",))), native_lane)
    assert outcome.reason is Reason.DNS_MISMATCH


@lanes
async def test_replies_to_other_questions_are_passed_over(native_lane: bool) -> None:
    def answer(asked: Message, question: bytes) -> list[bytes]:
        other = query(asked.id, Question("example.com", TYPES["A"]))
        return [
            b"",
            b"\0",
            question,  # our own question, echoed
            encode(reply(query(asked.id ^ 1, asked.question or other.question), (ADDRESS,), rcode="SERVFAIL")),
            encode(reply(other, rcode="NXDOMAIN")),
            encode(reply(asked, (ADDRESS,))),
        ]

    async with name_server(answer) as server:
        diag = Diagnostics(Settings(host="test", max_probes=8, native_lane=native_lane))
        diag.add(DnsProbe(server, "example.org"), name="it", interval="1h", initial_delay="1h", timeout="20s")
        async with diag:
            assert (await diag.run_once("it")).result is Result.OK
            assert diag.counted("stray_datagrams") == 5
        assert diag.counted("stray_datagrams") == 5


@lanes
@pytest.mark.parametrize(
    "after_question",
    [b"\xc0\x0c\0\1\0\1\0\0\0\x3c\xff\xff\x7f", b"\xc0\x1d\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1", b"\x3f" + b"a" * 3000],
    ids=["data beyond the end", "a pointer to itself", "oversized"],
)
async def test_an_answer_that_means_harm_fails(after_question: bytes, native_lane: bool) -> None:
    def answer(_: Message, question: bytes) -> list[bytes]:
        return [question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:] + after_question]

    async with name_server(answer) as server:
        assert (await _check(DnsProbe(server, "example.org"), native_lane)).reason is Reason.DNS_PROTOCOL


@lanes
async def test_a_malformed_reply_fails(native_lane: bool) -> None:
    async with name_server(lambda _, question: [question[:2] + b"\x80\0\0\1\0\1\0\0\0\0\xff"]) as server:
        assert (await _check(DnsProbe(server, "example.org"), native_lane)).reason is Reason.DNS_PROTOCOL


@lanes
async def test_silence_is_a_timeout(native_lane: bool) -> None:
    async with name_server(lambda _asked, _: []) as server:
        seen = await _check(DnsProbe(server, "example.org"), native_lane, limit="50ms")
    assert (seen.result, seen.reason) == (Result.TIMEOUT, Reason.DNS_TIMEOUT)


@lanes
async def test_a_reply_that_was_cut_short_is_fetched_over_tcp(native_lane: bool) -> None:
    def cut(asked: Message, _: bytes) -> list[bytes]:
        return [encode(reply(asked, (ADDRESS, ADDRESS), flags=TRUNCATED))[:-9]]

    def whole(asked: Message, _: bytes) -> list[bytes]:
        answer = encode(reply(asked, (ADDRESS,)))
        return [len(answer).to_bytes(2)[:1], len(answer).to_bytes(2)[1:], answer[:5], answer[5:]]

    async with name_server(cut, whole) as server:
        assert (await _check(DnsProbe(server, "example.org"), native_lane)).result is Result.OK


@pytest.mark.parametrize(
    ("over_tcp", "reason"),
    [
        (lambda _asked, _: [], Reason.RESPONSE_CLOSED),
        (lambda _asked, _: [b"\x00\x20half"], Reason.RESPONSE_CLOSED),
        (lambda _asked, _: [b"\x00\x04what"], Reason.DNS_PROTOCOL),
        (lambda asked, _: [_framed(reply(asked, flags=TRUNCATED))], Reason.DNS_PROTOCOL),
        (lambda asked, _: [_framed(reply(query(asked.id ^ 1, asked.question or Question("", 1))))], Reason.DNS_PROTOCOL),
    ],
    ids=["nothing", "half", "garbage", "cut again", "another reply"],
)
@lanes
async def test_a_bad_reply_over_tcp_fails(over_tcp: Answer, reason: Reason, native_lane: bool) -> None:
    async with name_server(lambda asked, _: [encode(reply(asked, flags=TRUNCATED))], over_tcp) as server:
        assert (await _check(DnsProbe(server, "example.org"), native_lane)).reason is reason


@lanes
async def test_a_port_where_nobody_listens_refuses(native_lane: bool) -> None:
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    seen = await _check(DnsProbe(f"127.0.0.1:{port}", "example.org"), native_lane)
    assert (seen.result, seen.reason) == (Result.FAIL, Reason.CONNECT_REFUSED)


async def _check(probe: DnsProbe, native_lane: bool, limit: str = "5s") -> ProbeView:
    diag = Diagnostics(Settings(host="test", max_probes=8, native_lane=native_lane))
    diag.add(probe, name="it", interval="1h", initial_delay="1h", timeout=limit)
    async with diag:
        with trio.fail_after(30):
            return await diag.run_once("it")


def _framed(message: Message) -> bytes:
    data = encode(message)
    return len(data).to_bytes(2) + data


async def _bind_both(udp: trio.socket.SocketType) -> tuple[trio.SocketListener, int]:
    """The same port for datagrams and streams."""
    while True:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port: int = listener.socket.getsockname()[1]
        try:
            await udp.bind(("127.0.0.1", port))
        except OSError:
            await listener.aclose()
        else:
            return listener, port


async def _serve_udp(udp: trio.socket.SocketType, answer: Answer) -> None:
    while True:
        question, sender = await udp.recvfrom(512)
        for datagram in answer(decode(question), question):
            await udp.sendto(datagram, sender)


def _tcp_handler(answer: Answer) -> Callable[[trio.SocketStream], object]:
    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            data = await stream.receive_some(512)
            while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2]):
                data += await stream.receive_some(512)
            for part in answer(decode(data[2:]), data[2:]):
                await stream.send_all(part)
                await trio.sleep(0.001)

    return handle
