"""QUIC on trio: a connection of aioquic's, which knows nothing of sockets, over a UDP socket. Imported when first used."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import ssl
from typing import Any, Final

import trio
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent
from aioquic.quic.packet import QuicErrorCode

from meshkit_fastprobe.model import Outcome, Reason
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.quic_failure import MAX_DETAIL, failure_of_connection, failure_of_handshake
from meshkit_fastprobe.probes.tls_settings import Tls

MAX_DATAGRAM_BYTES: Final = 65536
MAX_WAIT_S: Final = 60.0
ALPN: Final = ("h3",)

logging.getLogger("quic").addHandler(logging.NullHandler())  # a failed handshake is a result, and no line on stderr


class _Protocol(QuicConnection):
    broke_off = False
    """We ended it, for what the target has sent."""

    def close(self, error_code: int = QuicErrorCode.NO_ERROR, frame_type: int | None = None, reason_phrase: str = "") -> None:
        self.broke_off = self.broke_off or (error_code != QuicErrorCode.NO_ERROR and self.ended is None)
        super().close(error_code, frame_type, reason_phrase)

    @property
    def ended(self) -> ConnectionTerminated | None:
        """Known at once, while the event of that name waits for the closing period: three probe timeouts."""
        return self._close_event


class Connection:
    """One connection, by whoever awaits its events: nothing runs in between."""

    def __init__(self, sock: socket.socket, configuration: QuicConfiguration) -> None:
        self._plain = sock
        self._socket = trio.socket.from_stdlib_socket(sock)
        self._peer: Any = sock.getpeername()
        self.protocol = _Protocol(configuration=configuration)
        self.shaken = False

    @property
    def socket(self) -> socket.socket:
        return self._plain

    async def shake_hands(self) -> None:
        """Broken with a handshake's reason, or with CONNECT_REFUSED where no one listens."""
        self.protocol.connect(self._peer, now=trio.current_time())
        while not self.shaken:
            for event in await self.events():
                self.shaken = self.shaken or isinstance(event, HandshakeCompleted)

    async def events(self) -> list[QuicEvent]:
        """What came, at least one event, once what was to be sent has been. Broken when the connection has ended."""
        while True:
            await self._flush()
            found = list(iter(self.protocol.next_event, None))
            if found:
                return found
            self._look_for_the_end()
            await self._wait()

    def close(self) -> None:
        """Say goodbye, without waiting for anything."""
        self.protocol.close()
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            for datagram, _ in self.protocol.datagrams_to_send(now=trio.current_time()):
                self._plain.send(datagram)
        self._socket.close()

    async def _wait(self) -> None:
        """For a datagram, or for aioquic's next timer."""
        timer_s = self.protocol.get_timer()
        with trio.move_on_at(math.inf if timer_s is None else timer_s):
            try:
                data = await self._socket.recv(MAX_DATAGRAM_BYTES)
            except OSError as error:  # what ICMP said to an earlier datagram
                reason = Reason.RESPONSE_RESET if self.shaken else Reason.CONNECT_REFUSED
                raise Broken(reason, error.errno or 0) from None
            self.protocol.receive_datagram(data, self._peer, now=trio.current_time())
            return
        self.protocol.handle_timer(now=trio.current_time())

    async def _flush(self) -> None:
        for datagram, _ in self.protocol.datagrams_to_send(now=trio.current_time()):
            with contextlib.suppress(OSError):  # as good as lost: aioquic sends it again
                await self._socket.send(datagram)

    def _look_for_the_end(self) -> None:
        ended = self.protocol.ended
        if ended is None:
            return
        if self.shaken and self.protocol.broke_off:
            raise Broken(Reason.HTTP_PROTOCOL, min(int(ended.error_code), MAX_DETAIL), ended.reason_phrase)
        if self.shaken:
            outcome = failure_of_connection(ended.error_code, ended.frame_type, ended.reason_phrase)
        else:
            outcome = failure_of_handshake(ended.error_code, ended.reason_phrase)
        raise Broken(outcome.reason, outcome.detail, outcome.message)


def configuration_of(tls: Tls, server_name: str) -> QuicConfiguration | Outcome:
    """The same settings for aioquic, or what our files keep us from. The files were read before, by `open_context`."""
    paths = ssl.get_default_verify_paths()
    configuration = QuicConfiguration(
        alpn_protocols=list(ALPN),
        idle_timeout=MAX_WAIT_S,
        server_name=server_name or None,
        verify_mode=ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE,
    )
    # aioquic's own default is a package's list: the system's authorities are what the other kinds trust.
    configuration.load_verify_locations(tls.ca_file or paths.cafile, None if tls.ca_file else paths.capath)
    if tls.cert_file:
        try:
            configuration.load_cert_chain(tls.cert_file, tls.key_file or None)
        except (OSError, ValueError, TypeError) as error:
            return Outcome.error(type(error).__name__, reason=Reason.TLS_FILES)
    return configuration
