"""The HTTPS probe by HTTP/3, against hypercorn with aioquic, and against targets where nobody answers over QUIC."""

from __future__ import annotations

import datetime as dt
import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

import meshkit_fastprobe as fp
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes import http3
from meshkit_fastprobe.probes.http_expect import HttpExpect
from meshkit_fastprobe.probes.https import HttpsProbe
from meshkit_fastprobe.probes.tls_settings import Tls

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded host may take seconds for a handshake, and would be told of silence."""
    monkeypatch.setattr(http3, "MAX_HANDSHAKE_S", 10.0)


def app(
    status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ((b"x-served-by", b"test"),), body: bytes = b"all is ok"
) -> Any:
    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["http_version"] == "3"
        await receive()
        told = [(b"location", b"/there")] if status == 302 and scope["path"] == "/" else list(headers)
        code = 200 if status == 302 and scope["path"] != "/" else status
        await send({"type": "http.response.start", "status": code, "headers": told})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return serve


async def ask(port: int, authority: Any, tls: dict[str, Any] | None = None, **options: Any) -> Outcome:
    settings = Tls(**{"ca_file": authority.file, **(tls or {})})
    target = HttpsProbe(f"https://127.0.0.1:{port}/", version="3", tls=settings, **options).interpret("127.0.0.1", port)
    with trio.fail_after(60):  # hypercorn sends again what was lost, after timers that a loaded machine stretches
        outcome = await target.check()
    target.close()
    return outcome


async def test_an_answer_passes(authority, http3_server) -> None:
    async with http3_server(authority.ca.issue_cert("127.0.0.1"), app()) as port:
        expect = HttpExpect(status=(200,), headers={"X-Served-By": "te"}, body_contains="is ok")
        outcome = await ask(port, authority, expect=expect)
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.OK, Reason.NONE, 200)
    assert outcome.facts == (("protocol", "HTTP/3"),)
    phases = outcome.phases
    assert phases is not None
    assert phases.tls_s is not None
    assert phases.total_s is not None
    assert 0 < phases.tls_s < phases.total_s


@pytest.mark.parametrize(
    ("served", "options", "reason"),
    [
        ({"status": 503}, {}, Reason.HTTP_STATUS),
        ({}, {"expect": HttpExpect(headers={"x-other": ""})}, Reason.HEADER_MISMATCH),
        ({}, {"expect": HttpExpect(body_contains="lost")}, Reason.BODY_MISMATCH),
        ({"body": b"x" * 300_000}, {"max_body_bytes": 299_999}, Reason.HTTP_BODY_LIMIT),
        ({"body": b"x" * 300_000}, {"max_body_bytes": 300_000}, Reason.NONE),
        ({"body": gzip.compress(bytes(32 * 1024 * 1024))}, {}, Reason.NONE),
        ({"headers": ((b"x-long", b"x" * 17_000),)}, {}, Reason.HTTP_HEADER_LIMIT),
        ({"headers": tuple((b"x-%d" % number, b"x" * 60_000) for number in range(4))}, {}, Reason.HTTP_HEADER_LIMIT),
        ({"status": 302}, {"max_redirects": 1}, Reason.NONE),
        ({"status": 302}, {}, Reason.HTTP_STATUS),
    ],
    ids=[
        "status", "header", "body", "too much body", "as much as may be", "a bomb",
        "a long header", "endless headers", "followed", "not followed",
    ],
)  # fmt: skip
async def test_an_answer_is_judged_as_by_the_other_versions(authority, http3_server, served, options, reason) -> None:
    async with http3_server(authority.ca.issue_cert("127.0.0.1"), app(**served)) as port:
        assert (await ask(port, authority, **options)).reason is reason


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
async def test_a_certificate_that_is_not_good_here_and_now_fails_as_over_tcp(
    authority, http3_server, name, dates, reason
) -> None:
    async with http3_server(authority.ca.issue_cert(name, **dates), app()) as port:
        outcome = await ask(port, authority)
        assert (outcome.result, outcome.reason) == (Result.FAIL, reason)
        assert (await ask(port, authority, {"ca_file": "", "verify": False})).result is Result.OK


async def test_a_strangers_certificate_is_not_trusted(authority, http3_server) -> None:
    async with http3_server(trustme.CA().issue_cert("127.0.0.1"), app()) as port:
        assert (await ask(port, authority)).reason is Reason.TLS_UNTRUSTED
        assert (await ask(port, authority, {"ca_file": ""})).reason is Reason.TLS_UNTRUSTED  # the system's authorities


async def test_the_name_that_is_expected_may_be_given(authority, http3_server) -> None:
    async with http3_server(authority.ca.issue_cert("orders.example.org"), app()) as port:
        assert (await ask(port, authority, {"server_name": "orders.example.org"})).result is Result.OK
        assert (await ask(port, authority, {"server_name": "pay.example.org"})).reason is Reason.TLS_HOSTNAME


async def test_files_of_ours_that_cannot_be_read_are_no_failure_of_the_target(authority, http3_server, tmp_path: Path) -> None:
    async with http3_server(authority.ca.issue_cert("127.0.0.1"), app()) as port:
        outcome = await ask(port, authority, {"ca_file": str(tmp_path / "none.pem")})
    assert (outcome.result, outcome.reason) == (Result.ERROR, Reason.TLS_FILES)


async def test_where_nobody_listens_for_quic_http2_is_asked_and_both_are_told(authority, tls_server) -> None:
    async with tls_server(*over_tcp(authority)) as port:
        outcome = await ask(port, authority)
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.DEGRADED, Reason.HTTP_DOWNGRADE, 200)
    assert outcome.message == "HTTP/2 answered, HTTP/3 did not: connect_refused"
    assert dict(outcome.facts) == {"protocol": "HTTP/2", "http3": "connect_refused"}


async def test_where_quic_is_swallowed_http2_is_asked_in_the_time_that_is_left(authority, tls_server, monkeypatch) -> None:
    monkeypatch.setattr(http3, "MAX_HANDSHAKE_S", 1.0)
    async with tls_server(*over_tcp(authority)) as port:
        with swallowing(port), trio.fail_after(12):
            outcome = await ask(port, authority)
    assert outcome.reason is Reason.HTTP_DOWNGRADE
    assert dict(outcome.facts) == {"protocol": "HTTP/2", "http3": "connect_timeout"}


async def test_where_neither_answers_the_failure_is_that_of_tcp(authority) -> None:
    with trio.socket.socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        outcome = await ask(sock.getsockname()[1], authority)
    assert (outcome.result, outcome.reason) == (Result.FAIL, Reason.CONNECT_REFUSED)
    assert dict(outcome.facts) == {"http3": "connect_refused"}


async def test_a_bad_certificate_is_an_answer_and_no_reason_to_ask_by_tcp(authority, http3_server, tls_server) -> None:
    async with tls_server(*over_tcp(authority)) as port, http3_server(authority.ca.issue_cert("a.b"), app(), port):
        assert (await ask(port, authority)).reason is Reason.TLS_HOSTNAME


async def test_silence_after_the_handshake_is_a_missing_answer(authority, http3_server) -> None:
    asked = trio.Event()

    async def silent(*_: Any) -> None:
        asked.set()
        await trio.sleep_forever()

    async with http3_server(authority.ca.issue_cert("127.0.0.1"), silent) as port:
        settings = Tls(ca_file=authority.file)
        target = HttpsProbe(f"https://127.0.0.1:{port}/", version="3", tls=settings).interpret("127.0.0.1", port)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(target.check)
                await asked.wait()
                scope.cancel()
    assert scope.cancelled_caught
    assert target.timed_out.reason is Reason.RESPONSE_TIMEOUT


async def test_a_runtime_runs_it_and_keeps_no_socket(authority, http3_server) -> None:
    diag = fp.Diagnostics(fp.Settings(host="test"))
    async with http3_server(authority.ca.issue_cert("127.0.0.1"), app()) as port:
        probe = fp.HttpsProbe(f"https://127.0.0.1:{port}/", version="3", tls=fp.Tls(ca_file=authority.file))
        diag.add(probe, name="h3", interval="30s", timeout="20s")
        async with diag:
            assert (await diag.run_once("h3")).state is fp.State.HEALTHY
            before = descriptors()
            for _ in range(5):
                assert (await diag.run_once("h3")).result is Result.OK
            assert descriptors() <= before


def over_tcp(authority: Any) -> tuple[Any, Any]:
    from .test_https import fine, over_http2, server_context

    return server_context(authority, "2"), over_http2(fine)


@contextmanager
def swallowing(port: int) -> Iterator[None]:
    """A firewall's manners: datagrams go in, and nothing comes out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        yield


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
