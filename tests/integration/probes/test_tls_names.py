"""Which name each kind that speaks TLS asks for, and what its certificate must be for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from meshkit_fastprobe.model import Reason
from meshkit_fastprobe.probes.grpc import GrpcProbe
from meshkit_fastprobe.probes.https import HttpsProbe
from meshkit_fastprobe.probes.tls import TlsProbe
from meshkit_fastprobe.probes.tls_settings import Tls
from meshkit_fastprobe.probes.watch import WatchProbe

pytestmark = pytest.mark.integration

KINDS: dict[str, Callable[[str, Tls], Any]] = {
    "tls": lambda address, tls: TlsProbe(address, tls=tls),
    "https": lambda address, tls: HttpsProbe(f"https://{address}/", tls=tls),
    "grpc": lambda address, tls: GrpcProbe(address, tls=tls),
    "watch": lambda address, tls: WatchProbe(f"https://{address}/", tls=tls),
}


@pytest.mark.parametrize(
    ("host", "server_name"), [("db.example.org.", ""), ("127.0.0.1", "db.example.org.")], ids=["target", "server_name"]
)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_absolute_name_is_asked_for_without_its_dot(
    authority, tls_server, kind: str, host: str, server_name: str
) -> None:
    context = authority.context("db.example.org")
    context.set_alpn_protocols(["h2", "http/1.1"])
    asked: list[str] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    shaken: list[str] = []

    async def serve(_: trio.SSLStream) -> None:
        shaken.append(kind)

    async with tls_server(context, serve) as port:
        probe = KINDS[kind](f"{host}:{port}", Tls(ca_file=authority.file, server_name=server_name))
        target = probe.interpret("127.0.0.1", port)
        with trio.fail_after(20):
            outcome = await target.check()
        target.close()
    assert (asked, shaken) == (["db.example.org"], [kind])
    assert outcome.reason is not Reason.TLS_HOSTNAME
