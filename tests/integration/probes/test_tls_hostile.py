"""Handshakes that must fail, by every kind that speaks TLS: the same target is the same reason, whoever asks it."""

from __future__ import annotations

import datetime as dt
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import TrioProbe
from meshkit_fastprobe.probes.grpc import GrpcProbe
from meshkit_fastprobe.probes.https import HttpsProbe
from meshkit_fastprobe.probes.tls import TlsProbe
from meshkit_fastprobe.probes.tls_settings import Tls
from meshkit_fastprobe.probes.watch import WatchProbe

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

KINDS: dict[str, Any] = {
    "tls": lambda port, tls: TlsProbe(f"127.0.0.1:{port}", tls=tls),
    "https 1.1": lambda port, tls: HttpsProbe(f"https://127.0.0.1:{port}/", tls=tls, version="1.1"),
    "https 2": lambda port, tls: HttpsProbe(f"https://127.0.0.1:{port}/", tls=tls, version="2"),
    "watch": lambda port, tls: WatchProbe(f"https://127.0.0.1:{port}/", tls=tls),
    "grpc": lambda port, tls: GrpcProbe(f"127.0.0.1:{port}", tls=tls),
}


@pytest.fixture(params=KINDS)
def ask(request: pytest.FixtureRequest, authority) -> Any:
    async def run(port: int, **settings: Any) -> Outcome:
        probe: TrioProbe = KINDS[request.param](port, Tls(**{"ca_file": authority.file, **settings}))
        target = probe.interpret("127.0.0.1", port)
        with trio.fail_after(20):
            outcome = await target.check()
        target.close()
        assert outcome is not None
        return outcome

    return run


@pytest.mark.parametrize(
    ("name", "dates", "reason"),
    [
        ("127.0.0.1", {"not_before": NOW - 10 * DAY, "not_after": NOW - DAY}, Reason.TLS_EXPIRED),
        ("127.0.0.1", {"not_before": NOW + DAY}, Reason.TLS_NOT_YET_VALID),
        ("127.0.0.2", {}, Reason.TLS_HOSTNAME),
        ("example.org", {}, Reason.TLS_HOSTNAME),
    ],
    ids=["expired", "not yet valid", "another address", "a name"],
)
async def test_a_certificate_that_is_not_good_here_and_now(ask, authority, tls_server, name, dates, reason) -> None:
    async with tls_server(authority.context(certificate=authority.ca.issue_cert(name, **dates))) as port:
        outcome = await ask(port)
    assert (outcome.result, outcome.reason) == (Result.FAIL, reason)


async def test_a_certificate_of_a_stranger(ask, authority, tls_server) -> None:
    async with tls_server(authority.context(certificate=trustme.CA().issue_cert("127.0.0.1"))) as port:
        assert (await ask(port)).reason is Reason.TLS_UNTRUSTED


async def test_a_self_signed_certificate(ask, tls_server, tmp_path: Path) -> None:
    loner = trustme.CA()
    loner.cert_pem.write_to_path(str(tmp_path / "cert.pem"))
    loner.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with tls_server(context) as port:
        assert (await ask(port)).reason is Reason.TLS_UNTRUSTED


async def test_a_protocol_that_is_older_than_any_we_speak(ask, authority, tls_server) -> None:
    context = authority.context("127.0.0.1")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is deprecated is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with tls_server(context) as port:
        assert (await ask(port)).reason is Reason.TLS_VERSION


async def test_a_protocol_that_is_older_than_is_wanted(ask, authority, tls_server) -> None:
    context = authority.context("127.0.0.1")
    context.maximum_version = TLS_1_2
    async with tls_server(context) as port:
        assert (await ask(port, min_version="1.3")).reason is Reason.TLS_VERSION


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
async def test_a_server_that_wants_a_certificate_and_gets_none(ask, authority, tls_server, version) -> None:
    async with tls_server(asking(authority, version)) as port:
        outcomes = [await ask(port) for _ in range(5)]  # some: no alert may be lost by chance
    assert {(outcome.result, outcome.reason) for outcome in outcomes} == {(Result.FAIL, Reason.TLS_CLIENT_CERTIFICATE)}


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
async def test_a_server_that_trusts_others_than_those_who_vouch_for_us(ask, authority, tls_server, version) -> None:
    cert_file, key_file = authority.stranger_files()
    async with tls_server(asking(authority, version)) as port:
        outcomes = [await ask(port, cert_file=cert_file, key_file=key_file) for _ in range(5)]
    assert {(outcome.result, outcome.reason) for outcome in outcomes} == {(Result.FAIL, Reason.TLS_CLIENT_CERTIFICATE)}


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
async def test_a_server_that_wants_our_certificate_and_gets_it_has_nothing_against_us(
    ask, authority, tls_server, version
) -> None:
    cert_file, key_file = authority.client_files()
    async with tls_server(asking(authority, version)) as port:
        outcome = await ask(port, cert_file=cert_file, key_file=key_file)
    assert outcome.reason in {Reason.NONE, Reason.RESPONSE_CLOSED, Reason.RESPONSE_RESET}  # the server only shakes hands


def asking(authority: Any, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Of a server that takes nobody without a certificate of its authority."""
    context: ssl.SSLContext = authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context
