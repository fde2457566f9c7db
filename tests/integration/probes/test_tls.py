"""The TLS probe against servers whose certificates, names, versions or manners are wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

import meshkit_fastprobe as fp
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.tls import TlsProbe
from meshkit_fastprobe.probes.tls_settings import Tls

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)


async def ask(port: int, authority: Any = None, *, tls: dict[str, Any] | None = None, **options: Any) -> Outcome:
    settings = {"ca_file": authority.file} if authority else {}
    probe = TlsProbe(f"127.0.0.1:{port}", tls=Tls(**settings, **(tls or {})), **options)
    target = probe.interpret("127.0.0.1", port)
    with trio.fail_after(20):
        return await target.check()


async def test_a_trusted_certificate_passes_and_tells_how_long_it_is_good(authority, tls_server) -> None:
    leaf = authority.ca.issue_cert("127.0.0.1", not_after=NOW + dt.timedelta(days=90, hours=1))
    async with tls_server(authority.context(certificate=leaf)) as port:
        outcome = await ask(port, authority)
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.OK, Reason.NONE, 90)
    assert "TLSv1.3" in outcome.message
    assert outcome.latency_s


async def test_a_handshake_tells_its_phases_and_what_was_agreed_on(authority, tls_server) -> None:
    leaf = authority.ca.issue_cert("127.0.0.1", not_after=NOW + dt.timedelta(days=90))
    async with tls_server(authority.context(certificate=leaf)) as port:
        outcome = await ask(port, authority)
    assert outcome.phases is not None
    assert outcome.phases.connect_s is not None
    assert outcome.phases.tls_s is not None
    assert 0 < outcome.phases.connect_s < outcome.phases.tls_s
    assert {"version", "cipher", "names", "expires"} <= dict(outcome.facts).keys()


async def test_a_certificate_that_ends_soon_is_degraded_with_the_days_left(authority, tls_server) -> None:
    leaf = authority.ca.issue_cert("127.0.0.1", not_after=NOW + dt.timedelta(days=5, hours=1))
    async with tls_server(authority.context(certificate=leaf)) as port:
        soon = await ask(port, authority)
        calm = await ask(port, authority, expiring_days=3)
    assert (soon.result, soon.reason, soon.detail) == (Result.DEGRADED, Reason.TLS_EXPIRING, 5)
    assert calm.result is Result.OK


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ({"not_after": NOW - dt.timedelta(days=1)}, Reason.TLS_EXPIRED),
        ({"not_before": NOW + dt.timedelta(days=1)}, Reason.TLS_NOT_YET_VALID),
        ({"name": "127.0.0.2"}, Reason.TLS_HOSTNAME),
        ({"name": "example.org"}, Reason.TLS_HOSTNAME),
    ],
    ids=["expired", "not yet valid", "another address", "a name"],
)
async def test_a_certificate_that_is_not_good_here_and_now_fails(
    authority, tls_server, certificate: dict[str, Any], reason: Reason
) -> None:
    names = [certificate.pop("name", "127.0.0.1")]
    if "not_after" in certificate:
        certificate["not_before"] = NOW - dt.timedelta(days=10)
    leaf = authority.ca.issue_cert(*names, **certificate)
    async with tls_server(authority.context(certificate=leaf)) as port:
        outcome = await ask(port, authority)
    assert (outcome.result, outcome.reason) == (Result.FAIL, reason)


async def test_a_certificate_of_a_stranger_is_not_trusted_unless_asked_not_to_look(authority, tls_server) -> None:
    stranger = trustme.CA().issue_cert("127.0.0.1")
    async with tls_server(authority.context(certificate=stranger)) as port:
        assert (await ask(port, authority)).reason is Reason.TLS_UNTRUSTED
        assert (await ask(port)).reason is Reason.TLS_UNTRUSTED  # the system's authorities
        assert (await ask(port, tls={"verify": False})).result is Result.OK


async def test_a_self_signed_certificate_is_not_trusted(authority, tls_server, tmp_path: Path) -> None:
    loner = trustme.CA()
    loner.cert_pem.write_to_path(str(tmp_path / "cert.pem"))
    loner.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with tls_server(context) as port:
        assert (await ask(port, authority)).reason is Reason.TLS_UNTRUSTED


async def test_the_name_that_is_expected_may_be_given(authority, tls_server) -> None:
    async with tls_server(authority.context("orders.example.org")) as port:
        assert (await ask(port, authority, tls={"server_name": "orders.example.org"})).result is Result.OK
        assert (await ask(port, authority, tls={"server_name": "pay.example.org"})).reason is Reason.TLS_HOSTNAME


async def test_a_server_of_an_older_version_than_is_asked_for_fails(authority, tls_server) -> None:
    context = authority.context("127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with tls_server(context) as port:
        assert (await ask(port, authority)).result is Result.OK
        assert (await ask(port, authority, tls={"min_version": "1.3"})).reason is Reason.TLS_VERSION


async def test_a_server_that_knows_only_tls_1_1_fails(authority, tls_server) -> None:
    context = authority.context("127.0.0.1")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is deprecated is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with tls_server(context) as port:
        assert (await ask(port, authority)).reason is Reason.TLS_VERSION


async def test_the_protocol_that_is_asked_for_must_be_chosen(authority, tls_server) -> None:
    context = authority.context("127.0.0.1")
    context.set_alpn_protocols(["http/1.1"])
    async with tls_server(context) as port:
        assert "http/1.1" in (await ask(port, authority, alpn=("h2", "http/1.1"))).message
        assert (await ask(port, authority, alpn=("h2",))).reason is Reason.TLS_ALPN


async def test_a_server_that_asks_for_our_certificate_and_does_not_answer_a_goodbye_passes(authority, tls_server) -> None:
    async def deaf(_: trio.SSLStream) -> None:
        await trio.sleep_forever()

    context = authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.ca.configure_trust(context)
    async with tls_server(context, deaf) as port:
        assert (await ask(port, authority)).result is Result.OK


async def test_no_session_is_resumed(authority, tls_server) -> None:
    resumed: list[bool] = []

    async def look(stream: trio.SSLStream) -> None:
        resumed.append(stream.session_reused)

    async with tls_server(authority.context("127.0.0.1"), look) as port:
        for _ in range(3):
            assert (await ask(port, authority)).result is Result.OK
    assert set(resumed) == {False}


async def test_files_of_ours_that_are_missing_or_wrong_are_no_failure_of_the_target(authority, tls_server, tmp_path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    async with tls_server(authority.context("127.0.0.1")) as port:
        for tls in ({"ca_file": str(tmp_path / "none.pem")}, {"ca_file": str(wrong)}, {"cert_file": str(wrong)}):
            outcome = await ask(port, tls=tls)
            assert (outcome.result, outcome.reason) == (Result.ERROR, Reason.TLS_FILES)
            assert outcome.message


async def test_a_renewed_authority_is_read_again(authority, tls_server, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(trusted))
    async with tls_server(authority.context("127.0.0.1")) as port:
        assert (await ask(port, tls={"ca_file": str(trusted)})).reason is Reason.TLS_UNTRUSTED
        trusted.unlink()
        authority.ca.cert_pem.write_to_path(str(trusted))
        assert (await ask(port, tls={"ca_file": str(trusted)})).result is Result.OK


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-server\r\n", b"\x16\x03\x03\x00\x04what", b""], ids=repr
)
async def test_what_is_not_tls_fails_the_handshake(authority, answer: bytes) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(1)
        await stream.send_all(answer)

    async with plain_server(serve) as port:
        outcome = await ask(port, authority)
    assert (outcome.result, outcome.reason) == (Result.FAIL, Reason.TLS_HANDSHAKE)


async def test_a_silent_server_times_out_after_the_connection(authority) -> None:
    silent = TlsProbe("127.0.0.1:443", tls=Tls(ca_file=authority.file))

    async def serve(_: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with plain_server(serve) as port:
        target = silent.interpret("127.0.0.1", port)
        with trio.move_on_after(0.1) as scope:
            await target.check()
    assert scope.cancelled_caught
    assert target.timed_out.reason is Reason.RESPONSE_TIMEOUT


async def test_where_nobody_listens_is_told_as_by_tcp() -> None:
    with trio.socket.socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        assert (await ask(sock.getsockname()[1])).reason is Reason.CONNECT_REFUSED


async def test_a_runtime_runs_it_in_the_task_lane(authority, tls_server) -> None:
    diag = fp.Diagnostics(fp.Settings(host="test"))
    async with tls_server(authority.context("127.0.0.1")) as port:
        probe = fp.TlsProbe(f"127.0.0.1:{port}", tls=fp.Tls(ca_file=authority.file))
        diag.add(probe, name="tls", interval="30s", timeout="20s")
        async with diag:
            view = await diag.run_once("tls")
    assert view.state is fp.State.HEALTHY


def plain_server(serve: Callable[[trio.SocketStream], Awaitable[None]]) -> Any:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def run() -> Any:
        async def handle(stream: trio.SocketStream) -> None:
            async with stream:
                with contextlib.suppress(trio.BrokenResourceError):
                    await serve(stream)

        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, handle, [listener])
            yield listener.socket.getsockname()[1]
            nursery.cancel_scope.cancel()

    return run()
