"""The gRPC probe against the health service of grpcio, and against servers that are no such thing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
import trio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import meshkit_fastprobe as fp
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.grpc import GrpcProbe
from meshkit_fastprobe.probes.tls_settings import Tls
from tests.integration.probes.test_https import FAREWELLS, farewell

pytestmark = pytest.mark.integration

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def grpcio_server(credentials: grpc.ServerCredentials | None = None) -> Iterator[int]:
    """The reference implementation, saying that "" and "up" are serving and "down" is not."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        servicer = health.HealthServicer(experimental_non_blocking=True, experimental_thread_pool=ThreadPoolExecutor(1))
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for service, status in (("", SERVING), ("up", SERVING), ("down", NOT_SERVING)):
            servicer.set(service, status)
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait()


@pytest.mark.parametrize("method", ["check", "watch"])
@pytest.mark.parametrize(
    ("service", "reason"),
    [
        ("", Reason.NONE),
        ("up", Reason.NONE),
        ("down", Reason.GRPC_NOT_SERVING),
        ("nobody", Reason.GRPC_UNKNOWN_SERVICE),
    ],
)
async def test_what_the_health_service_says_is_the_verdict(method: str, service: str, reason: Reason) -> None:
    with grpcio_server() as port:
        outcome = await ask(port, service=service, method=method)
    assert outcome.reason is reason
    assert outcome.result is (Result.OK if reason is Reason.NONE else Result.FAIL)


async def test_a_kept_connection_serves_many_runs() -> None:
    with grpcio_server() as port:
        target = GrpcProbe(f"127.0.0.1:{port}", keep_alive=True).interpret("127.0.0.1", port)
        for number in range(4):
            with trio.fail_after(20):
                outcome = await target.check()
            assert outcome.result is Result.OK
            assert outcome.phases is not None
            assert (outcome.phases.connect_s is None) is (number > 0)
        target.close()


async def test_a_kept_connection_to_a_server_that_was_started_anew_is_replaced() -> None:
    with grpcio_server() as port:
        target = GrpcProbe(f"127.0.0.1:{port}", keep_alive=True).interpret("127.0.0.1", port)
        assert (await target.check()).result is Result.OK
    assert (await target.check()).reason is Reason.CONNECT_REFUSED


async def test_over_tls_the_certificate_must_be_good(authority) -> None:
    with grpcio_server(credentials(authority)) as port:
        assert (await ask(port, tls=Tls(ca_file=authority.file))).result is Result.OK
        assert (await ask(port, tls=Tls())).reason is Reason.TLS_UNTRUSTED
        assert (await ask(port, tls=Tls(ca_file=authority.file, server_name="a.b"))).reason is Reason.TLS_HOSTNAME


async def test_with_mutual_tls_our_certificate_is_asked_for(authority) -> None:
    cert_file, key_file = authority.client_files("grpc-prober")
    with grpcio_server(credentials(authority, mutual=True)) as port:
        ours = Tls(ca_file=authority.file, cert_file=cert_file, key_file=key_file)
        assert (await ask(port, tls=ours)).result is Result.OK
        refused = await ask(port, tls=Tls(ca_file=authority.file))
        strange_cert, strange_key = authority.stranger_files()
        mistaken = await ask(port, tls=Tls(ca_file=authority.file, cert_file=strange_cert, key_file=strange_key))
    assert refused.reason is Reason.TLS_CLIENT_CERTIFICATE
    # grpcio sends no alert, so this could be any end of the connection.
    assert mistaken.reason in {Reason.RESPONSE_CLOSED, Reason.RESPONSE_RESET}
    assert "may have refused" in mistaken.message


async def test_a_server_without_a_health_service_is_unimplemented() -> None:
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        outcome = await ask(port)
        server.stop(0).wait()
    assert (outcome.reason, outcome.detail, outcome.message) == (Reason.GRPC_STATUS, 12, "UNIMPLEMENTED")


OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]


@pytest.mark.parametrize(
    ("headers", "data", "trailers", "reason"),
    [
        ([(":status", "404")], b"", None, Reason.HTTP_STATUS),
        ([(":status", "200"), ("content-type", "text/html")], b"<html>", None, Reason.GRPC_PROTOCOL),
        (OK_HEADERS, b"\0\0\0\0\2\x08\1", None, Reason.GRPC_PROTOCOL),
        (OK_HEADERS, b"", [("grpc-status", "0")], Reason.GRPC_PROTOCOL),
        (OK_HEADERS, b"\1\0\0\0\2\x08\1", [("grpc-status", "0")], Reason.GRPC_PROTOCOL),
        (OK_HEADERS, b"\0\xff\xff\xff\xff", [("grpc-status", "0")], Reason.GRPC_PROTOCOL),
        (OK_HEADERS, b"\0\0\0\0\2\x08\x80", [("grpc-status", "0")], Reason.GRPC_PROTOCOL),
        (OK_HEADERS, b"\0\0\0\0\2\x08\1", [("grpc-status", "many")], Reason.GRPC_PROTOCOL),
        (OK_HEADERS, b"\0\0\0\0\2\x08\1", [("grpc-status", "99")], Reason.GRPC_STATUS),
        (OK_HEADERS, b"\0\0\0\0\2\x08\7", [("grpc-status", "0")], Reason.GRPC_NOT_SERVING),
        (OK_HEADERS, b"\0\0\0\0\0", [("grpc-status", "0")], Reason.GRPC_NOT_SERVING),
        (OK_HEADERS, b"\0\0\0\0\7\x12\3abc\x08\1", [("grpc-status", "0")], Reason.NONE),
    ],
    ids=[
        "http status", "html", "no status", "no message", "compressed", "endless", "cut number", "no number", "strange status",
        "strange health", "unknown health", "unknown field",
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_health_is_told_from_one_that_is(headers, data, trailers, reason: Reason) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        asked = False
        while not asked:
            asked = any(
                isinstance(event, h2.events.StreamEnded) for event in connection.receive_data(await stream.receive_some(65536))
            )
        connection.send_headers(1, headers)
        connection.send_data(1, data, end_stream=trailers is None)
        if trailers is not None:
            connection.send_headers(1, trailers, end_stream=True)
        await stream.send_all(connection.data_to_send())
        while await stream.receive_some(65536):
            pass

    assert (await ask_a(serve)).reason is reason


async def test_a_server_that_is_drained_still_answers() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        frames = FAREWELLS["amid an answer"]
        await farewell(stream, frames, headers=OK_HEADERS, body=b"\0\0\0\0\2\x08\1", trailers=[("grpc-status", "0")])

    assert (await ask_a(serve)).reason is Reason.NONE


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-server\r\n"], ids=repr)
async def test_what_is_not_http2_fails(answer: bytes) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(answer)

    expected = Reason.HTTP_PROTOCOL if answer else Reason.RESPONSE_CLOSED
    assert (await ask_a(serve)).reason in {expected, Reason.RESPONSE_RESET}


async def test_silence_is_a_missing_answer() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        target = GrpcProbe(f"127.0.0.1:{port}").interpret("127.0.0.1", port)
        with trio.move_on_after(0.1) as scope:
            await target.check()
    assert scope.cancelled_caught
    assert target.timed_out.reason is Reason.RESPONSE_TIMEOUT


async def test_a_runtime_runs_it_in_the_task_lane() -> None:
    diag = fp.Diagnostics(fp.Settings(host="test"))
    with grpcio_server() as port:
        diag.add(fp.GrpcProbe(f"127.0.0.1:{port}", "up", keep_alive=True), name="grpc", interval="30s", timeout="20s")
        async with diag:
            assert (await diag.run_once("grpc")).state is fp.State.HEALTHY


def credentials(authority: Any, *, mutual: bool = False) -> grpc.ServerCredentials:
    leaf = authority.ca.issue_cert("127.0.0.1")
    pair = (leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())
    return grpc.ssl_server_credentials([pair], authority.ca.cert_pem.bytes() if mutual else None, mutual)


async def ask(port: int, **options: Any) -> Outcome:
    with trio.fail_after(20):
        return await GrpcProbe(f"127.0.0.1:{port}", **options).interpret("127.0.0.1", port).check()


async def ask_a(serve: Any) -> Outcome:
    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await serve(stream)
            except trio.BrokenResourceError:
                return

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        outcome = await ask(listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()
    return outcome
