"""The transports of one host: HTTP/1.1 and 2 over TCP or a unix socket, and HTTP/3 over UDP on the same port number."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import ServerSettings
from meshkit_fastprobe.server.connections import ConnectionLoop
from meshkit_fastprobe.server.listen import TcpAddress, UnixAddress
from meshkit_fastprobe.server.tls import Tls

_WHERE = "server.http3"
log = logging.getLogger("meshkit_fastprobe.server")


@contextlib.contextmanager
def http3_socket(settings: ServerSettings, bound: TcpAddress | UnixAddress) -> Iterator[socket.socket | None]:
    """A UDP socket beside the listening one; None when HTTP/3 is not spoken. ConfigError when it has to be and cannot."""
    if not isinstance(bound, TcpAddress) or not _is_wanted(settings):
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


def _is_wanted(settings: ServerSettings) -> bool:
    if settings.http3 is False or (settings.http3 is None and settings.tls is None):
        return False
    if settings.tls is None:
        raise ConfigError(_WHERE, "HTTP/3 is always encrypted, and there is no TLS", "add server.tls with cert and key")
    if find_spec("aioquic") is not None:
        return True
    if settings.http3:
        raise ConfigError(_WHERE, "HTTP/3 is an optional part", "pip install 'meshkit-fastprobe[http3]'")
    log.info("no HTTP/3: it is an optional part (pip install 'meshkit-fastprobe[http3]')")
    return False


async def carry(
    app: Any, settings: ServerSettings, tls: Tls | None, sock: socket.socket, udp: socket.socket | None, leaving: trio.Event
) -> None:
    """Until `leaving`, and a few seconds longer for who is being answered; or until cancelled."""
    port = None if udp is None else int(udp.getsockname()[1])
    connections = ConnectionLoop(app, tls, max_connections=settings.max_connections, http3_port=port)
    async with trio.open_nursery() as nursery:
        if udp is not None:
            from meshkit_fastprobe.server.http3.endpoint import Endpoint

            assert settings.tls is not None
            nursery.start_soon(Endpoint(app, settings.tls, max_connections=settings.max_connections).run, udp, leaving)
        await connections.run(sock, leaving)
