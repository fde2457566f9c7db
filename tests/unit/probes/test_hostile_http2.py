"""Whatever bytes a target sends in HTTP/2's place, a request ends in a verdict or as a broken connection, and nothing else."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.model import Outcome
from meshkit_fastprobe.probes.grpc import Call, GrpcProbe
from meshkit_fastprobe.probes.http2 import Http2
from meshkit_fastprobe.probes.http_expect import HttpExpect
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.http_on_trio import Exchange
from meshkit_fastprobe.probes.https_carriers import OverHttp2
from meshkit_fastprobe.probes.seeing import Seen

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
HEADERS = b"\x88\x5f\x10application/grpc"
"""HPACK: :status 200 and a content type."""
REQUEST = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"

FRAMES = st.lists(
    st.builds(
        lambda kind, flags, stream, payload: len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload,
        st.integers(0, 11),
        st.sampled_from([0, 1, 4, 5, 8, 0x20, 0xFF]),
        st.sampled_from([0, 1, 1, 1, 2, 3, 0x7FFFFFFF, 0xFFFFFFFF]),
        st.one_of(st.binary(max_size=40), st.sampled_from([b"", HEADERS, b"\0\0\0\0\2\x08\1", b"\0\0\0\0\0\0\0\0"])),
    ),
    max_size=8,
)
SENT = st.one_of(st.binary(max_size=100), FRAMES.map(lambda frames: SETTINGS + b"".join(frames)))


async def _answered(stream_bytes: bytes) -> tuple[trio.testing.MemorySendStream, Http2]:
    """A connection to a target that has sent all it will send."""
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(stream_bytes)
    await theirs.send_eof()
    connection = Http2(ours)  # type: ignore[arg-type]  # a stream without a socket does
    return theirs, connection


@given(SENT)
def test_an_answer_of_any_bytes_is_judged_or_broken(sent: bytes) -> None:
    async def main() -> None:
        _, connection = await _answered(sent)
        carrier = OverHttp2.__new__(OverHttp2)
        carrier._connection, carrier._whole = connection, False
        exchange = Exchange(request=REQUEST, head=False, wish=HttpExpect().wish(100), keep_alive=False, idle_s=0)
        try:
            assert isinstance(await carrier.ask(exchange, Seen()), Outcome)
        except Broken:
            return

    trio.run(main)


@given(SENT)
def test_a_call_of_any_bytes_is_judged_or_broken(sent: bytes) -> None:
    async def main() -> None:
        _, connection = await _answered(sent)
        probe = GrpcProbe("127.0.0.1:1")
        call = Call(probe)
        try:
            await connection.ask(probe.request_headers(), b"\0\0\0\0\0")
            while True:
                for event in await connection.events():
                    verdict = call.take(event)
                    if verdict is not None:
                        assert isinstance(verdict, Outcome)
                        return
        except Broken:
            return

    trio.run(main)
