"""Connections: hypercorn's protocols on our accept loop, with the bounds hypercorn leaves open.

Hypercorn 0.18 has no bound on connections, shields writes from cancellation (a reader that stops reading would hold up our
shutdown for ever), keeps a connection that its visitor has closed for the idle time, and lets an error of one connection end
the whole server. This is its worker loop without these four.
"""

from __future__ import annotations

import logging
import socket
from functools import partial
from typing import Any, Final

import msgspec
import trio
from h2.exceptions import H2Error
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from meshkit_fastprobe.server.frames import FrameMeter
from meshkit_fastprobe.server.peer import PEER, Peer, uid_of
from meshkit_fastprobe.server.reply import SEND_PATIENCE_S
from meshkit_fastprobe.server.tls import Tls

MAX_CONNECTIONS: Final = 2048
HANDSHAKE_S: Final = 10.0
"""For TLS: a visitor that says nothing holds a place no longer."""
GRACE_S: Final = 3.0
"""For requests in flight, when the host leaves."""
READ_BYTES: Final = 8192
IDLE_S: Final = 30.0
"""Between two requests, and for the headers of one to arrive."""
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_STREAMS: Final = 32
"""HTTP/2 requests at once on a connection."""

ALT_SVC_S: Final = 3600
"""How long visitors may remember that there is HTTP/3 (RFC 7838)."""

_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n"

log = logging.getLogger("meshkit_fastprobe.server")


def hypercorn_config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = log
    config.include_server_header = False
    config.keep_alive_timeout = IDLE_S
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.h2_max_header_list_size = MAX_HEADER_BYTES
    config.h2_max_concurrent_streams = MAX_STREAMS
    # No read_timeout: hypercorn also reads while a request is answered, and would cut off a slow `:run`. Headers that do not
    # arrive fall under keep_alive_timeout, and bodies are not waited for.
    config.read_timeout = None
    return config


class Connection(TCPServer):
    """One connection: its writes give up, and it ends when its visitor has gone."""

    _is_idle = True

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated):
            self._is_idle = event.idle
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                with trio.move_on_after(SEND_PATIENCE_S) as patience:
                    await self.stream.send_all(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await self.protocol.handle(Closed())
                return
            if patience.cancelled_caught:
                await trio.aclose_forcefully(self.stream)
                await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        """Little at a time: what h2 makes of a read, it makes in one go. A flood of frames ends the connection.

        Once the visitor has gone, nobody waits out the idle time: it would keep the descriptor, and our count, up.
        """
        meter = FrameMeter()
        while True:
            await self._mind_http2()
            try:
                data = await self.stream.receive_some(READ_BYTES)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if not meter.take(data):
                log.warning("a visitor floods us with HTTP/2 frames and is left: %s", PEER.get().address)
                await trio.aclose_forcefully(self.stream)
                break
            try:
                await self.protocol.handle(RawData(bytes(data)))
            except H2Error as error:  # hypercorn answers streams that a visitor has reset by now
                log.info("a visitor's HTTP/2 stream was gone: %s", error)
                break
            if not data:
                break
        await self.protocol.handle(Closed())
        await self.idle_task.stop()

    async def _mind_http2(self) -> None:
        spoken = self.protocol.protocol
        if not isinstance(spoken, H2Protocol):
            return
        if not isinstance(spoken.streams, _Streams):
            spoken.streams = _Streams(spoken.streams)
        if not self._is_idle and spoken.idle:
            # With prior knowledge it begins with what looks like a request, which hypercorn waits to see answered.
            await self.protocol_send(Updated(idle=True))


class _Gone:
    """Stands for a request that has been answered: what was still on its way is let fall."""

    idle = True

    async def handle(self, event: object) -> None: ...


class _Streams(dict[int, Any]):
    """Those of a connection over HTTP/2: to hypercorn a body that outlasts its answer is an error of the whole connection."""

    def __missing__(self, _stream_id: int) -> _Gone:
        return _Gone()


class ConnectionLoop:
    """Accepts connections to an ASGI app and keeps their number bounded; one that fails takes nobody along."""

    def __init__(
        self, app: Any, tls: Tls | None = None, *, max_connections: int = MAX_CONNECTIONS, http3_port: int | None = None
    ) -> None:
        self._tls = tls
        self._app = ASGIWrapper(app)
        self._config = hypercorn_config()
        if http3_port is not None:
            self._config.alt_svc_headers = [f'h3=":{http3_port}"; ma={ALT_SVC_S}']
        self._context = WorkerContext(None)
        self._max_connections = max_connections
        self._empty = trio.Event()
        self.open = 0
        self.refused = 0

    async def run(self, sock: socket.socket, leaving: trio.Event) -> None:
        """Until `leaving`, or until cancelled, which breaks connections off. The socket is closed at the end.

        On leaving nobody is accepted any more, idle connections are closed, and requests in flight have GRACE_S to end.
        """
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        async with trio.open_nursery() as visitors:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, self._handle, [listener], handler_nursery=visitors))
                await leaving.wait()
                accepting.cancel_scope.cancel()
            await self._context.terminated.set()
            with trio.move_on_after(GRACE_S):
                while self.open:
                    self._empty = trio.Event()
                    await self._empty.wait()
            visitors.cancel_scope.cancel()

    async def _handle(self, stream: trio.SocketStream) -> None:
        if self.open >= self._max_connections:
            await self._refuse(stream)
            return
        self.open += 1
        try:
            await self._serve(stream)
        except Exception:
            log.exception("a connection ended in an error")
        finally:
            self.open -= 1
            if not self.open:
                self._empty.set()

    async def _serve(self, stream: trio.SocketStream) -> None:
        visitor: Any = stream  # hypercorn's annotation asks for an SSL stream; its code reads any
        peer = _peer(stream)
        if self._tls is not None:
            visitor = trio.SSLStream(stream, self._tls.context, server_side=True, https_compatible=True)
            if not await _shakes_hands(visitor):
                return
            peer = msgspec.structs.replace(peer, certificate=visitor.getpeercert(binary_form=True))
        PEER.set(peer)  # in this connection's own task, and so in those of its requests
        await Connection(self._app, self._config, self._context, ConnectionState({}), visitor).run()

    async def _refuse(self, stream: trio.SocketStream) -> None:
        if self.refused == 0:
            log.warning("more than %d connections at once: further ones are refused", self._max_connections)
        self.refused += 1
        with trio.move_on_after(1.0):
            try:
                await stream.send_all(_BUSY)
            except trio.BrokenResourceError:
                return


def _peer(stream: trio.SocketStream) -> Peer:
    if stream.socket.family == socket.AF_UNIX:
        return Peer(address="unix", uid=uid_of(stream.socket))
    try:
        return Peer(address=str(stream.socket.getpeername()[0]))
    except OSError:  # gone already
        return Peer()


async def _shakes_hands(visitor: trio.SSLStream[trio.SocketStream]) -> bool:
    with trio.move_on_after(HANDSHAKE_S):
        try:
            await visitor.do_handshake()
        except trio.BrokenResourceError as error:
            log.info("no TLS with a visitor: %s", error.__cause__ or error)
        else:
            return True
    await trio.aclose_forcefully(visitor)
    return False
