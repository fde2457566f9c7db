"""The transports of one host: HTTP/1.1 and 2 over TCP or a unix socket, and HTTP/3 over UDP on the same port number.

Or none at all, where its app is mounted in another.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final, Protocol

import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import ServerSettings
from meshkit_fastprobe.server.connections import GRACE_S, ConnectionLoop
from meshkit_fastprobe.server.endpoints import Given
from meshkit_fastprobe.server.listen import TcpAddress, UnixAddress, listening, parse_listen
from meshkit_fastprobe.server.tls import Tls, read_tls, tls_of

_WHERE: Final = "server.http3"
log = logging.getLogger("meshkit_fastprobe.server")


class Transports(Protocol):
    """bound: where it listens; None: nowhere. told: the same, for people."""

    bound: TcpAddress | UnixAddress | None
    tls: Tls | None
    told: str

    async def carry(self, app: Any, leaving: trio.Event) -> None:
        """Until `leaving`, and a few seconds longer for who is being answered; or until cancelled."""


@contextlib.contextmanager
def opened(settings: ServerSettings, given: Given) -> Iterator[Transports]:
    """What the settings and what was handed in say. ConfigError when it cannot be had."""
    if given.mounted:
        yield InAnotherApp(given)
        return
    tls = tls_of(given.context) if given.context is not None else None if settings.tls is None else read_tls(settings.tls)
    with contextlib.ExitStack() as stack:
        if given.listener is not None:
            sock: socket.socket = stack.enter_context(given.listener)
            bound = _address_of(sock, encrypted=tls is not None)
        else:
            sock, bound = stack.enter_context(listening(parse_listen(settings.listen, encrypted=tls is not None)))
        udp = stack.enter_context(_http3_socket(settings, bound, given))
        yield Sockets(settings, tls, sock, bound, udp)


class Sockets:
    """Our own."""

    def __init__(
        self,
        settings: ServerSettings,
        tls: Tls | None,
        sock: socket.socket,
        bound: TcpAddress | UnixAddress,
        udp: socket.socket | None,
    ) -> None:
        self.bound: TcpAddress | UnixAddress | None = bound
        self.tls = tls
        self.told = str(bound)
        self._settings = settings
        self._sock = sock
        self._udp = udp

    async def carry(self, app: Any, leaving: trio.Event) -> None:
        settings, udp = self._settings, self._udp
        port = None if udp is None else int(udp.getsockname()[1])
        connections = ConnectionLoop(app, self.tls, max_connections=settings.max_connections, http3_port=port)
        async with trio.open_nursery() as nursery:
            if udp is not None:
                from meshkit_fastprobe.server.http3.endpoint import Endpoint

                assert settings.tls is not None
                nursery.start_soon(Endpoint(app, settings.tls, max_connections=settings.max_connections).run, udp, leaving)
            await connections.run(self._sock, leaving)


class InAnotherApp:
    """Whose server has the sockets."""

    bound: TcpAddress | UnixAddress | None = None
    tls: Tls | None = None
    told = "mounted"

    def __init__(self, given: Given) -> None:
        self._given = given

    async def carry(self, app: Any, leaving: trio.Event) -> None:
        given = self._given
        given.app = app
        try:
            await leaving.wait()
            with trio.move_on_after(GRACE_S):
                while given.in_flight:
                    await given.idle.wait()
        finally:
            given.app = None


def _address_of(sock: socket.socket, *, encrypted: bool) -> TcpAddress | UnixAddress:
    """ConfigError when others could reach it and there is no TLS."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return UnixAddress(os.fsdecode(name))
    address = TcpAddress(*name[:2])
    parse_listen(str(address), encrypted=encrypted)
    return address


@contextlib.contextmanager
def _http3_socket(settings: ServerSettings, bound: TcpAddress | UnixAddress, given: Given) -> Iterator[socket.socket | None]:
    """A UDP socket beside the listening one; None when HTTP/3 is not spoken. ConfigError when it has to be and cannot."""
    if not isinstance(bound, TcpAddress) or not _is_wanted(settings, given):
        yield None
        return
    with socket.socket(socket.AF_INET6 if ":" in bound.host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((bound.host, bound.port))
        except OSError as error:
            what = f"UDP {bound}: {error.strerror or error}"
            if not settings.listen.endswith(":0"):
                raise ConfigError(_WHERE, what, "free the port, or set http3 = false") from None
            log.warning("no HTTP/3 this time, the port was picked for TCP alone: %s", what)
            yield None
            return
        yield sock


def _is_wanted(settings: ServerSettings, given: Given) -> bool:
    if settings.http3 is False or (settings.http3 is None and (settings.tls is None or given.context is not None)):
        return False
    if settings.tls is None or given.context is not None:
        raise ConfigError(_WHERE, "HTTP/3 is always encrypted, and needs a certificate in files", "add server.tls")
    if find_spec("aioquic") is not None:
        return True
    if settings.http3:
        raise ConfigError(_WHERE, "HTTP/3 is an optional part", "pip install 'meshkit-fastprobe[http3]'")
    log.info("no HTTP/3: it is an optional part (pip install 'meshkit-fastprobe[http3]')")
    return False
