"""What a service hands in of its own for the endpoints: a listening socket, a TLS context, or a place in its own ASGI app."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Protocol

import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.endpoints import Given
from meshkit_fastprobe.server.reply import Answer, Message, Receive, Scope, Send


class _Served(Protocol):
    @property
    def endpoints(self) -> Any: ...


class ControlEndpoint:
    """Made before its Diagnostics starts, whose `Settings.server` says everything else: prefix, hosts, bounds.

    Identities, roles and audit are those of the Diagnostics, whatever is handed in here.
    """

    def __init__(self, diag: _Served) -> None:
        self._given: Given = diag.endpoints.given

    def listener(self, sock: socket.socket) -> ControlEndpoint:
        """Answer on this bound, listening stream socket; it is closed when the Diagnostics ends. ConfigError for another."""
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ConfigError("ControlEndpoint.listener", "the socket does not listen", "bind it, and call listen()")
        self._given.listener = sock
        return self

    def certificates(self, context: ssl.SSLContext) -> ControlEndpoint:
        """Answer with this context, whose certificates its owner renews. There is no HTTP/3 then: that needs files.

        Names of its certificate are not known here: say them in `ServerSettings.hosts`. Clients' certificates are identities if
        it asks for them. ConfigError for a context of clients.
        """
        if context.protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise ConfigError("ControlEndpoint.certificates", "it is a context for clients", "use ssl.PROTOCOL_TLS_SERVER")
        self._given.context = context
        return self

    def app(self) -> Answer:
        """Listen nowhere: an ASGI app to mount, which answers while the Diagnostics runs. For trio, and on its thread.

        Who asks is proven by a bearer token alone: what the outer server knows of connections does not come this far.
        """
        self._given.mounted = True
        return Mounted(self._given)


class Mounted:
    """Paths begin where it is mounted."""

    def __init__(self, given: Given) -> None:
        self._given = given

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        given = self._given
        if given.app is None:
            await _unavailable(send)
            return
        root = scope.get("root_path", "")
        path = scope["path"]
        inner = {**scope, "path": path[len(root) :] or "/" if root and path.startswith(root) else path, "root_path": ""}
        given.in_flight += 1
        try:
            await given.app(inner, receive, send)
        finally:
            given.in_flight -= 1
            if not given.in_flight:
                given.idle.set()
                given.idle = trio.Event()


async def _unavailable(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"the diagnostics of this service do not run\n"})


async def _live(receive: Receive, send: Send) -> None:
    """It starts and ends with its Diagnostics, not with the server around it."""
    while True:
        message: Message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
