"""HTTP/3: one request and its judged answer over QUIC. The protocols are the aioquic package's, an optional part."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Final

import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.dialing import Address, open_udp
from meshkit_fastprobe.probes.http2 import MAX_HEADER_BYTES, MAX_INTERIM, Headers
from meshkit_fastprobe.probes.http_judge import Broken, Judge
from meshkit_fastprobe.probes.http_on_trio import Exchange
from meshkit_fastprobe.probes.https_carriers import Carrier, http2_headers, value_of
from meshkit_fastprobe.probes.quic_failure import MAX_DETAIL
from meshkit_fastprobe.probes.seeing import Seen, Socket
from meshkit_fastprobe.probes.tls_settings import Tls
from meshkit_fastprobe.probes.tls_stream import open_context
from meshkit_fastprobe.probes.via import Via

if TYPE_CHECKING:
    from aioquic.h3.connection import H3Connection
    from aioquic.h3.events import H3Event
    from aioquic.quic.events import QuicEvent

    from meshkit_fastprobe.probes.quic import Connection

MAX_HANDSHAKE_S: Final = 3.0
MAX_UNTOLD_BYTES: Final = 64 * 1024
"""What a target may send that makes no event of an answer: frames that are not whole, settings, greased ones."""

SILENT: Final = frozenset({Reason.CONNECT_TIMEOUT, Reason.CONNECT_REFUSED, Reason.CONNECT_UNREACHABLE})
"""How it looks when nobody answers over QUIC; anything else is an answer."""


def is_installed() -> bool:
    return find_spec("aioquic") is not None


def require(where: str) -> None:
    """Refuse an option that needs HTTP/3 where it is not installed."""
    if not is_installed():
        raise ConfigError(where, "HTTP/3 is an optional part", "pip install 'meshkit-fastprobe[http3]'")


async def open_carrier(address: Address, via: Via, tls: Tls, server_name: str) -> OverHttp3 | Outcome:
    """A connection whose handshake is done, or why there is none. It is given half of the time that is left.

    The other half is for whoever asks by other means then.
    """
    from meshkit_fastprobe.probes import quic

    context = open_context(tls, quic.ALPN)  # looks at our files as every kind does
    if isinstance(context, Outcome):
        return context
    configuration = quic.configuration_of(tls, server_name)
    if isinstance(configuration, Outcome):
        return configuration
    sock = open_udp(address, via)
    if isinstance(sock, Outcome):
        return sock
    connection = quic.Connection(sock, configuration)
    left_s = trio.current_effective_deadline() - trio.current_time()
    try:
        with trio.move_on_after(max(0.0, min(left_s / 2, MAX_HANDSHAKE_S))):
            await connection.shake_hands()
        if connection.shaken:
            return OverHttp3(connection)
    except Broken as broken:
        return broken.outcome
    finally:
        if not connection.shaken:
            connection.close()
    return Outcome(Result.TIMEOUT, Reason.CONNECT_TIMEOUT, "no handshake over QUIC in time")


class OverHttp3:
    """For one request: a QUIC connection has timers that nobody would look after between two runs."""

    version: ClassVar[str] = "HTTP/3"
    reusable: ClassVar[bool] = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asked = 0
        self._interim = 0
        self._untold_bytes = 0
        self.begun = False

    @property
    def socket(self) -> Socket:
        return self._connection.socket

    async def ask(self, exchange: Exchange, seen: Seen) -> Outcome:
        from meshkit_fastprobe.probes.http3_protocol import Http3Protocol

        protocol = Http3Protocol(self._connection.protocol)
        self._asked = self._connection.protocol.get_next_available_stream_id()
        protocol.send_headers(self._asked, http2_headers(exchange.request), end_stream=True)
        judge = Judge(exchange.wish)
        while True:
            for event in await self._connection.events():
                for told in self._decode(protocol, event):
                    seen.heard()
                    verdict = self._take(judge, told, seen)
                    seen.body_bytes = judge.body_bytes
                    if verdict is not None:
                        return verdict

    def close(self) -> None:
        self._connection.close()

    def _decode(self, protocol: H3Connection, event: QuicEvent) -> list[H3Event]:
        from aioquic.quic import events

        match event:
            case events.StreamReset() if event.stream_id == self._asked:
                raise Broken(Reason.RESPONSE_RESET, min(event.error_code, MAX_DETAIL))
            case events.StreamDataReceived():
                self.begun = self.begun or event.stream_id == self._asked
                self._untold_bytes += len(event.data)
        told = protocol.handle_event(event)
        if told:
            self._untold_bytes = 0
        elif self._untold_bytes > MAX_UNTOLD_BYTES:
            raise Broken(Reason.HTTP_HEADER_LIMIT)
        return told

    def _take(self, judge: Judge, event: H3Event, seen: Seen) -> Outcome | None:
        from aioquic.h3 import events

        match event:
            case events.HeadersReceived() if event.stream_id == self._asked:
                verdict = self._take_headers(judge, event.headers, seen)
            case events.DataReceived() if event.stream_id == self._asked:
                verdict = judge.body(event.data or b"")
            case _:
                return None
        if verdict is not None or not event.stream_ended:
            return verdict
        return judge.whole() if judge.status else judge.fail(Reason.HTTP_PROTOCOL)  # it may end without a word

    def _take_headers(self, judge: Judge, headers: Headers, seen: Seen) -> Outcome | None:
        """Trailers are headers as well, and say nothing that was asked for."""
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            return judge.fail(Reason.HTTP_HEADER_LIMIT)
        status = value_of(headers, b":status")
        if not status:
            return None
        if status.startswith(b"1"):
            self._interim += 1
            return judge.fail(Reason.HTTP_PROTOCOL) if self._interim > MAX_INTERIM else None
        seen.answered(int(status), headers)
        return judge.headers(seen.status, headers)


_: type[Carrier] = OverHttp3
