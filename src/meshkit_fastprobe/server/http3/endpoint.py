"""The UDP socket of HTTP/3: datagrams to the connections they name, new connections within bounds."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from typing import Any, Final

import trio
from aioquic.buffer import Buffer  # type: ignore[attr-defined] # it re-exports without saying so
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import (
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.retry import QuicRetryTokenHandler

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import TlsSettings
from meshkit_fastprobe.server.connections import GRACE_S, IDLE_S
from meshkit_fastprobe.server.http3.connection import Connection
from meshkit_fastprobe.server.http3.pace import Pace
from meshkit_fastprobe.server.reply import Answer

MAX_VISITORS: Final = 512
MAX_DATAGRAM: Final = 65_536
LEAST_INITIAL: Final = 1200
"""Bytes of the first datagram of a connection (RFC 9000, 14.1): who sends less could make us answer more than was sent."""
RETRY_FROM: Final = 64
"""Connections from which on a visitor has to show first that it is where it says (RFC 9000, 8.1.2)."""
HANDSHAKES_A_SECOND: Final = 100.0
HANDSHAKES_AT_ONCE: Final = 50
DATAGRAMS_A_SECOND: Final = 5000.0
DATAGRAMS_AT_ONCE: Final = 1000
WINDOW_BYTES: Final = 128 * 1024
CLOSING_S: Final = 0.1
"""For the last datagrams to be written once all connections are closed."""
_CID_BYTES: Final = 8

log = logging.getLogger("meshkit_fastprobe.server")
logging.getLogger("quic").addHandler(logging.NullHandler())  # what visitors do wrong is no line on stderr


class Endpoint:
    """HTTP/3 for an ASGI app. dropped: datagrams beyond the pace. failed: connections that ended in an error of ours."""

    def __init__(self, app: Answer, tls: TlsSettings, *, max_connections: int) -> None:
        self.dropped = 0
        self.failed = 0
        self._app = app
        self._configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=["h3"],
            connection_id_length=_CID_BYTES,
            idle_timeout=IDLE_S,
            max_data=4 * WINDOW_BYTES,
            max_stream_data=WINDOW_BYTES,
        )
        try:
            self._configuration.load_cert_chain(tls.cert, tls.key)
        except (OSError, ValueError, TypeError) as error:  # read_tls has read them before: this is one it does not take
            raise ConfigError(
                "server.tls.cert", f"{tls.cert} cannot be used for HTTP/3: {error}", "set server.http3 = false"
            ) from None
        self._retries = QuicRetryTokenHandler()
        self._max_visitors = min(MAX_VISITORS, max_connections)
        self._directory: dict[bytes, Connection] = {}
        self._visitors: set[Connection] = set()
        self._handshakes = Pace(HANDSHAKES_A_SECOND, HANDSHAKES_AT_ONCE)
        self._datagrams = Pace(DATAGRAMS_A_SECOND, DATAGRAMS_AT_ONCE)
        self._leaving = False

    @property
    def open(self) -> int:
        return len(self._visitors)

    async def run(self, sock: socket.socket, leaving: trio.Event) -> None:
        """Until `leaving`, and some seconds longer for who is being answered; or until cancelled."""
        udp = trio.socket.from_stdlib_socket(sock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, udp, nursery)
            await leaving.wait()
            self._leaving = True
            for visitor in self._visitors:
                visitor.leaving = True
            with trio.move_on_after(GRACE_S):
                while busy := [visitor for visitor in self._visitors if visitor.requests]:
                    await busy[0].moved()
            for visitor in self._visitors:
                visitor.close()
            await trio.sleep(CLOSING_S)
            nursery.cancel_scope.cancel()

    async def _listen(self, udp: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        server = udp.getsockname()[:2]
        while True:
            try:
                data, address = await udp.recvfrom(MAX_DATAGRAM)
            except OSError as error:  # what ICMP said of an earlier datagram
                log.debug("a visitor over UDP cannot be reached: %s", error)
                continue
            visitor = None
            try:
                header = pull_quic_header(Buffer(data=data), host_cid_length=_CID_BYTES)
                visitor = self._directory.get(header.destination_cid)
                if visitor is None:
                    visitor = await self._welcome(udp, nursery, header, len(data), address, server)
                if visitor is not None and self._may_take():
                    visitor.take(data, address)
            except ValueError:
                continue  # no packet of QUIC
            except Exception as error:  # noqa: BLE001 - a mistake in one connection ends that one
                self._fail(visitor, error)

    def _may_take(self) -> bool:
        if self._datagrams.take():
            return True
        if not self.dropped:
            log.warning("more than %.0f datagrams a second over HTTP/3: further ones are dropped", DATAGRAMS_A_SECOND)
        self.dropped += 1
        return False

    def _fail(self, visitor: Connection | None, error: Exception) -> None:
        self.failed += 1
        log.error("a connection over HTTP/3 ended in an error", exc_info=error)
        if visitor is not None:
            visitor.ended = True
            visitor.close()

    async def _welcome(
        self,
        udp: trio.socket.SocketType,
        nursery: trio.Nursery,
        header: QuicHeader,
        size: int,
        address: Any,
        server: tuple[str, int],
    ) -> Connection | None:
        """The connection that this datagram begins; None when it begins none."""
        if header.packet_type == QuicPacketType.VERSION_NEGOTIATION or size < LEAST_INITIAL:
            return None
        if header.version is not None and header.version not in self._configuration.supported_versions:
            supported = self._configuration.supported_versions
            told = encode_quic_version_negotiation(
                source_cid=header.destination_cid, destination_cid=header.source_cid, supported_versions=supported
            )
            await _send(udp, told, address)
            return None
        full = self._leaving or len(self._visitors) >= self._max_visitors
        if header.packet_type != QuicPacketType.INITIAL or full or not self._handshakes.take():
            return None
        original, retried = header.destination_cid, None
        if header.token:
            original = self._retries.validate_token(
                address=address, destination_cid=header.destination_cid, token=header.token, now=trio.current_time()
            )
            retried = header.destination_cid
        elif len(self._visitors) >= RETRY_FROM:
            await _send(udp, self._retry(header, address), address)
            return None
        quic = QuicConnection(
            configuration=self._configuration,
            original_destination_connection_id=original,
            retry_source_connection_id=retried,
        )
        visitor = Connection(quic, self._app, address, server, self._directory)
        visitor.know(header.destination_cid)
        visitor.know(quic.host_cid)
        await nursery.start(self._serve, visitor, udp)
        return visitor

    async def _serve(self, visitor: Connection, udp: trio.socket.SocketType, *, task_status: trio.TaskStatus[None]) -> None:
        async def send(data: bytes, address: Any) -> None:
            await _send(udp, data, address)

        self._visitors.add(visitor)
        try:
            await visitor.run(send, task_status=task_status)
        except Exception as error:  # noqa: BLE001 - likewise
            self._fail(None, error)
        finally:
            self._visitors.discard(visitor)

    def _retry(self, header: QuicHeader, address: Any) -> bytes:
        source_cid = os.urandom(_CID_BYTES)
        token = self._retries.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=source_cid,
            now=trio.current_time(),
        )
        assert header.version is not None
        return encode_quic_retry(
            version=header.version,
            source_cid=source_cid,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )


async def _send(udp: trio.socket.SocketType, data: bytes, address: Any) -> None:
    with contextlib.suppress(OSError):  # as good as lost on the way: QUIC sends again what matters
        await udp.sendto(data, address)
