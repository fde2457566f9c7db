"""One QUIC connection of a visitor: aioquic is the protocol, this carries its datagrams, its timers and its requests."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio
from aioquic.h3.connection import ErrorCode
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionIdIssued,
    ConnectionIdRetired,
    ConnectionTerminated,
    ProtocolNegotiated,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from meshkit_fastprobe.probes.http3_protocol import Http3Protocol
from meshkit_fastprobe.server.connections import IDLE_S, MAX_STREAMS
from meshkit_fastprobe.server.http3.pace import Pace
from meshkit_fastprobe.server.http3.request import Headers, Request, scope_of
from meshkit_fastprobe.server.peer import PEER, Peer
from meshkit_fastprobe.server.reply import Answer

MAX_UNTOLD: Final = 64 * 1024
"""Bytes of frames that said nothing yet: headers are short, and nobody sends anything else that is long."""
DATAGRAMS_A_SECOND: Final = 1000.0
DATAGRAMS_AT_ONCE: Final = 500

Datagram = tuple[bytes, Any]
log = logging.getLogger("meshkit_fastprobe.server")


class Connection:
    """directory: where this connection is found by what its datagrams name. It ends by itself, or by `close`."""

    def __init__(
        self, quic: QuicConnection, app: Answer, address: Any, server: tuple[str, int], directory: dict[bytes, Connection]
    ) -> None:
        self.quic = quic
        self.requests: dict[int, Request] = {}
        self.leaving = False
        self.ended = False
        self._app = app
        self._address = address
        self._server = server
        self._directory = directory
        self._names: set[bytes] = set()
        self._h3: Http3Protocol | None = None
        self._nursery: trio.Nursery | None = None
        self._pace = Pace(DATAGRAMS_A_SECOND, DATAGRAMS_AT_ONCE)
        self._untold = 0
        self._quiet_since_s = trio.current_time()
        self._woken = trio.Event()
        self._moved = trio.Event()

    # -- datagrams and time --------------------------------------------------------------------------------------------------

    def take(self, data: bytes, address: Any) -> None:
        """What a visitor sends beyond its pace is as good as lost on the way: QUIC slows down, and sends it again."""
        if self.ended or not self._pace.take():
            return
        self.quic.receive_datagram(data, address, now=trio.current_time())
        self._handle_events()
        if not self._begun:
            self.ended = True  # the first datagram could not be read: nothing would ever end this otherwise
        self._woken.set()

    async def run(
        self,
        send: Callable[[bytes, Any], Awaitable[None]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until the connection has ended; its requests end with it."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                while not self.ended:
                    await self._wait()
                    self._woken = trio.Event()
                    if self._begun:
                        await self._transmit(send)
                for request in self.requests.values():
                    request.leave()
                nursery.cancel_scope.cancel()
        finally:
            self.ended = True
            for name in self._names:
                self._directory.pop(name, None)
            self._move()

    def close(self) -> None:
        self.quic.close(error_code=ErrorCode.H3_NO_ERROR)
        self._woken.set()

    @property
    def _begun(self) -> bool:
        return self.quic.get_timer() is not None

    def know(self, name: bytes) -> None:
        """Datagrams that name this are ours."""
        self._names.add(name)
        self._directory[name] = self

    async def _transmit(self, send: Callable[[bytes, Any], Awaitable[None]]) -> None:
        for data, address in self.quic.datagrams_to_send(now=trio.current_time()):
            await send(data, address)
        self._move()

    async def _wait(self) -> None:
        timer_s = self.quic.get_timer()
        timer_s = math.inf if timer_s is None else timer_s
        leave_s = math.inf if self.requests else self._quiet_since_s + IDLE_S
        with trio.move_on_at(min(timer_s, leave_s)):
            await self._woken.wait()
            return
        if timer_s <= leave_s:
            self.quic.handle_timer(now=trio.current_time())
            self._handle_events()
        else:  # it may have kept the connection alive by PINGs: a place is for who asks something
            self._quiet_since_s = math.inf
            self.close()

    # -- events --------------------------------------------------------------------------------------------------------------

    def _handle_events(self) -> None:
        while (event := self.quic.next_event()) is not None:
            self._handle(event)
            for told in () if self._h3 is None else self._h3.handle_event(event):
                self._untold = 0
                self._hear(told)
            if self._untold > MAX_UNTOLD:
                self.quic.close(error_code=ErrorCode.H3_EXCESSIVE_LOAD, reason_phrase="frames that say nothing")
                self._untold = 0

    def _handle(self, event: QuicEvent) -> None:
        match event:
            case ConnectionTerminated():
                self.ended = True
            case ProtocolNegotiated():
                self._h3 = Http3Protocol(self.quic)
            case ConnectionIdIssued():
                self.know(event.connection_id)
            case ConnectionIdRetired():
                self._names.discard(event.connection_id)
                self._directory.pop(event.connection_id, None)
            case StreamReset() | StopSendingReceived():
                request = self.requests.get(event.stream_id)
                if request is not None:
                    request.leave()
            case StreamDataReceived():
                self._untold += len(event.data)

    def _hear(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived):
            return
        request = self.requests.get(event.stream_id)
        if request is None and isinstance(event, HeadersReceived):
            self._begin(event)
        elif request is not None and isinstance(event, DataReceived):
            if not request.take(event.data or b"", ended=event.stream_ended):
                self._refuse(event.stream_id, ErrorCode.H3_EXCESSIVE_LOAD)
                request.leave()
        elif request is not None and event.stream_ended:  # trailers of a request tell us nothing
            request.take(b"", ended=True)

    def _begin(self, event: HeadersReceived) -> None:
        scope = scope_of(event.headers, (str(self._address[0]), int(self._address[1])), self._server)
        if scope is None or self.leaving or len(self.requests) >= MAX_STREAMS or self._nursery is None:
            self._refuse(event.stream_id, ErrorCode.H3_REQUEST_REJECTED)
            return
        request = self.requests[event.stream_id] = Request(self, event.stream_id, scope)
        if event.stream_ended:
            request.take(b"", ended=True)
        self._nursery.start_soon(self._answer, event.stream_id, request)

    async def _answer(self, stream_id: int, request: Request) -> None:
        PEER.set(Peer(address=str(self._address[0])))
        try:
            await self._app(request.scope, request.receive, request.send)
        except Exception:
            log.exception("a request over HTTP/3 ended in an error")
        finally:
            if not request.answered and not self.ended:
                self._refuse(stream_id, ErrorCode.H3_INTERNAL_ERROR)
            del self.requests[stream_id]
            self._quiet_since_s = trio.current_time()
            self._woken.set()
            self._move()

    # -- what requests use (request.Way) -------------------------------------------------------------------------------------

    def send_headers(self, stream_id: int, headers: Headers, *, end: bool) -> None:
        assert self._h3 is not None
        self._h3.send_headers(stream_id, headers, end_stream=end)
        self._woken.set()

    def send_data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        assert self._h3 is not None
        self._h3.send_data(stream_id, data, end_stream=end)
        self._woken.set()

    def reset(self, stream_id: int, code: int) -> None:
        self._refuse(stream_id, code)

    def has_sent(self, stream_id: int) -> bool:
        """Aioquic buffers without a bound, and tells through nothing that is public how much."""
        stream = self.quic._streams.get(stream_id)  # noqa: SLF001 - see above; a test holds it to a slow reader
        return self.ended or stream is None or stream.sender.buffer_is_empty

    async def moved(self) -> None:
        await self._moved.wait()

    def _move(self) -> None:
        moved, self._moved = self._moved, trio.Event()
        moved.set()

    def _refuse(self, stream_id: int, code: int) -> None:
        try:
            self.quic.reset_stream(stream_id, code)
            self.quic.stop_stream(stream_id, code)
        except (AssertionError, ValueError):  # it has ended by now, on one side or on both
            log.debug("stream %d had ended", stream_id)
        self._woken.set()
