"""Certificates of an authority that nobody else trusts, and a TLS server that shows them."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme

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
