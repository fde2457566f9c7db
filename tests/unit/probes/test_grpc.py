"""What a gRPC probe sends and reads, and what it refuses to be. Sockets are in tests/integration."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane
from meshkit_fastprobe.probes import grpc_message, http2
from meshkit_fastprobe.probes.base import TrioProbe, lane_of
from meshkit_fastprobe.probes.grpc import GrpcProbe
from meshkit_fastprobe.probes.tls_settings import Tls


@given(st.text(max_size=300))
def test_requests_are_those_of_protobuf(service: str) -> None:
    try:
        service.encode()
    except UnicodeEncodeError:
        return
    message = HealthCheckRequest(service=service).SerializeToString()
    assert grpc_message.request(service) == b"\0" + len(message).to_bytes(4) + message


@given(st.sampled_from([0, 1, 2, 3]))
def test_statuses_are_those_of_protobuf(status: int) -> None:
    assert grpc_message.status(HealthCheckResponse(status=status).SerializeToString()) == status


@given(st.binary(max_size=64))
def test_any_bytes_are_a_status_or_a_mistake(data: bytes) -> None:
    with contextlib.suppress(grpc_message.MessageError):
        assert grpc_message.status(data) >= 0


@given(st.binary(max_size=100), st.integers(1, 7))
def test_a_message_arrives_whole_however_it_is_cut(message: bytes, size: int) -> None:
    framed = b"\0" + len(message).to_bytes(4) + message
    frames = grpc_message.Frames()
    found = [frames.take(framed[start : start + size]) for start in range(0, len(framed), size)]
    assert found[-1] == message
    assert set(found[:-1]) <= {None}


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"target": "nowhere"}, "GrpcProbe.target", "port"),
        ({"method": "list"}, "GrpcProbe.method", "not known"),
        ({"service": "x" * 257}, "GrpcProbe.service", "no name"),
        ({"headers": {"grpc-timeout": "1S"}}, "GrpcProbe.headers", "belongs to gRPC"),
        ({"headers": {"a b": ""}}, "GrpcProbe.headers", "not a header name"),
    ],
)
def test_what_cannot_be_asked_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        GrpcProbe(**{"target": "10.0.0.1:50051", **refused})
    assert caught.value.where == where


def test_without_h2_it_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match="meshkit-fastprobe\\[http2\\]"):
        GrpcProbe("10.0.0.1:50051")


def test_the_authority_is_the_name_that_the_certificate_is_for() -> None:
    assert GrpcProbe("10.0.0.1:50051").authority == "10.0.0.1:50051"
    assert GrpcProbe("10.0.0.1:50051", tls=Tls(server_name="orders")).authority == "orders"
    assert GrpcProbe("unix:/run/a.sock").authority == "localhost"


def test_it_runs_on_trio() -> None:
    assert lane_of(GrpcProbe) is Lane.TASK
    assert isinstance(GrpcProbe("10.0.0.1:1"), TrioProbe)
