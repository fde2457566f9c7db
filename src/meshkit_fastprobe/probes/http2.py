"""HTTP/2 on a trio stream: one connection, one request at a time. The protocol is the h2 package's, an optional part."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.seeing import Socket
from meshkit_fastprobe.probes.tls_stream import Stream, close_at_once, receive, send

if TYPE_CHECKING:
    from h2.events import Event

MAX_HEADER_BYTES: Final = 16 * 1024
MAX_INTERIM: Final = 4
"""1xx answers before the final one: the same bounds as of HTTP/1.1."""

_SETTINGS: Final = b"\x04"
"""The type of the first frame of every server: text in its place would be taken for a long frame, and waited for."""

Headers: TypeAlias = list[tuple[bytes, bytes]]


def is_installed() -> bool:
    return find_spec("h2") is not None


def require(where: str) -> None:
    """Refuse a kind or an option that needs HTTP/2 where it is not installed."""
    if not is_installed():
        raise ConfigError(where, "HTTP/2 is an optional part", "pip install 'meshkit-fastprobe[http2]'")


class Http2:
    """A connection, from its preface on. Broken tells that it ended; what it is worth to whoever asked is for them to say."""

    def __init__(self, stream: Stream | trio.SocketStream) -> None:
        from h2.config import H2Configuration

        from meshkit_fastprobe.probes.http2_protocol import Http2Protocol

        self._stream = stream
        self._protocol = Http2Protocol(H2Configuration(client_side=True, header_encoding=None))
        self._protocol.initiate_connection()
        self._protocol.decoder.max_header_list_size = MAX_HEADER_BYTES
        self._asked = 0
        self._interim = 0
        self._greeted = False
        self.reusable = True
        self.begun = False

    @property
    def socket(self) -> Socket:
        """For its ends."""
        transport = self._stream.transport_stream if isinstance(self._stream, trio.SSLStream) else self._stream
        return transport.socket

    async def ask(self, headers: Headers, body: bytes = b"") -> None:
        """Send a whole request. A body must fit the first window of 64 KiB."""
        from h2.exceptions import H2Error

        self.begun = False
        self._interim = 0
        try:
            self._asked = self._protocol.get_next_available_stream_id()
            self._protocol.send_headers(self._asked, headers, end_stream=not body)
            if body:
                self._protocol.send_data(self._asked, body, end_stream=True)
        except H2Error:  # it ended between two runs, or has no numbers left for streams
            raise Broken(Reason.RESPONSE_CLOSED) from None
        await self._flush()

    async def events(self) -> list[Event]:
        """What came for the request, at least one: ResponseReceived, DataReceived, TrailersReceived, StreamEnded."""
        while True:
            data = await receive(self._stream)
            if not data:
                raise Broken(Reason.RESPONSE_CLOSED)
            found = [event for event in self._decode(data) if self._is_ours(event)]
            await self._flush()
            if found:
                self.begun = True
                return found

    def close(self) -> None:
        close_at_once(self._stream)

    def _decode(self, data: bytes) -> list[Event]:
        from h2.exceptions import DenialOfServiceError, H2Error

        if not self._greeted and data[3:4] not in {b"", _SETTINGS}:
            self.begun = True
            raise Broken(Reason.HTTP_PROTOCOL, message="the answer is not HTTP/2")
        self._greeted = True
        try:
            return self._protocol.receive_data(data)
        except DenialOfServiceError:
            self.begun = True
            raise Broken(Reason.HTTP_HEADER_LIMIT) from None
        except (H2Error, ValueError) as error:  # also of a server that said more after its farewell: then nothing has begun
            raise Broken(Reason.HTTP_PROTOCOL, message=type(error).__name__) from None

    def _is_ours(self, event: Event) -> bool:
        from h2 import events

        match event:
            case events.StreamReset() if event.stream_id == self._asked:
                self.begun = True
                raise Broken(Reason.RESPONSE_RESET, int(event.error_code or 0))
            case events.ConnectionTerminated():
                self.reusable = False
                if event.error_code or (event.last_stream_id or 0) < self._asked:
                    raise Broken(Reason.RESPONSE_CLOSED, int(event.error_code or 0))
            case events.InformationalResponseReceived():
                self._interim += 1
                if self._interim > MAX_INTERIM:
                    self.begun = True
                    raise Broken(Reason.HTTP_PROTOCOL, message="too many interim answers")
            case events.DataReceived():
                if event.stream_id is not None and event.flow_controlled_length:
                    self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                return event.stream_id == self._asked
            case events.ResponseReceived() | events.TrailersReceived() | events.StreamEnded():
                return event.stream_id == self._asked
        return False

    async def _flush(self) -> None:
        out = self._protocol.data_to_send()
        if out:
            await send(self._stream, out)
