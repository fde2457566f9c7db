"""Certificates of an authority that nobody else trusts, and servers that show them: by TLS, and by QUIC."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.udp_server import UDPServer
from hypercorn.trio.worker_context import WorkerContext

Handler = Callable[[trio.SSLStream], Awaitable[None]]
TlsServer = Callable[..., AbstractAsyncContextManager[int]]


class Authority:
    """A certificate authority, with its certificate in a file."""

    def __init__(self, directory: Path) -> None:
        self.ca = trustme.CA()
        self.directory = directory
        self.file = str(directory / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def context(self, *names: str, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """Of a server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or self.ca.issue_cert(*names)).configure_cert(context)
        return context

    def client_files(self, name: str = "prober") -> tuple[str, str]:
        """The files of a client's certificate and of its key."""
        return self._write(name, self.ca.issue_cert(name))

    def stranger_files(self) -> tuple[str, str]:
        """The same of a client that another authority vouches for."""
        return self._write("stranger", trustme.CA().issue_cert("stranger"))

    def _write(self, name: str, leaf: trustme.LeafCert) -> tuple[str, str]:
        cert_file, key_file = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        leaf.cert_chain_pems[0].write_to_path(str(cert_file))
        leaf.private_key_pem.write_to_path(str(key_file))
        return str(cert_file), str(key_file)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def _serve(context: ssl.SSLContext, handler: Handler | None = None) -> AsyncIterator[int]:
    async def serve(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await tls.do_handshake()
            if handler is not None:
                await handler(tls)
            else:
                await tls.receive_some(1)
        except (trio.BrokenResourceError, ssl.SSLError):
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await stream.send_all(tls._outgoing.read())  # the alert: trio makes it, and keeps it
        finally:
            await trio.aclose_forcefully(tls)

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.fixture
def tls_server() -> TlsServer:
    """`async with tls_server(context, handler) as port`: a server on 127.0.0.1, which by default only shakes hands."""
    return _serve


@asynccontextmanager
async def _serve_http3(config: Config, app: Callable[..., Awaitable[None]], port: int) -> AsyncIterator[int]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    server = UDPServer(ASGIWrapper(app), config, WorkerContext(None), {}, sock)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            yield sock.getsockname()[1]
            nursery.cancel_scope.cancel()
    finally:
        sock.close()


@pytest.fixture
def http3_server(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[int]]:
    """`async with http3_server(leaf, app, port=0) as port`: hypercorn with aioquic on 127.0.0.1."""

    def serve(leaf: trustme.LeafCert, app: Callable[..., Awaitable[None]], port: int = 0) -> Any:
        config = Config()
        config.certfile, config.keyfile = str(tmp_path / "http3.pem"), str(tmp_path / "http3.key")
        config.errorlog = None
        Path(config.certfile).write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(config.keyfile)
        return _serve_http3(config, app, port)

    return serve
