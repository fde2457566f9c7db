"""Targets and plans from Python: what is accepted, what is refused and in which words, and what would be sent."""

from __future__ import annotations

import socket
from importlib.metadata import version
from typing import Any

import pytest

from meshkit_fastprobe._native.engine import Engine
from meshkit_fastprobe._native.target import HttpPlan, Target
from meshkit_fastprobe.model import Reason, Result


def plan(**changes: Any) -> HttpPlan:
    settings: dict[str, Any] = {
        "method": "GET", "path": "/", "headers": {}, "status": [], "expect_headers": {}, "body_contains": b"", "max_body": 1000,
        "keep_alive": False,
    }  # fmt: skip
    return HttpPlan(**(settings | changes))


def test_a_request_names_product_and_version() -> None:
    request = Target.http("127.0.0.1", 8080, plan(path="/healthz", headers={"X-A": "b"}), "example.org:8080").request()
    assert request == (
        b"GET /healthz HTTP/1.1\r\nHost: example.org:8080\r\nUser-Agent: meshkit-fastprobe/%b\r\nAccept: */*\r\n"
        b"Connection: close\r\nX-A: b\r\n\r\n" % version("meshkit-fastprobe").encode()
    )


def test_a_tcp_target_sends_nothing() -> None:
    assert Target.tcp("127.0.0.1", 80).request() == b""


@pytest.mark.parametrize(
    ("host", "port", "address_bytes"),
    [
        ("127.0.0.1", 1, 16),
        ("::1", 65535, 28),
        ("::ffff:10.0.0.1", 80, 28),
        ("fe80::1%lo", 80, 28),
        ("fe80::1%1", 80, 28),
        ("/run/x.sock", 0, 2 + len("/run/x.sock") + 1),
        ("@abstract", 0, 2 + len("@abstract")),
        ("/" + "x" * 106, 0, 110),
    ],
)
def test_literal_addresses_and_unix_paths_are_taken(host: str, port: int, address_bytes: int) -> None:
    assert Target.tcp(host, port).nbytes == 24 + address_bytes


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("", 80, "neither an IP address"),
        ("localhost", 80, "neither an IP address"),
        ("10.0.0", 80, "neither an IP address"),
        ("10.0.0.1%lo", 80, "neither an IP address"),
        ("[::1]", 80, "neither an IP address"),
        ("fe80::1%nowhere0", 80, "no interface"),
        ("fe80::1%", 80, "no interface"),
        ("10.0.0.1\0", 80, "NUL"),
        ("10.0.0.1", 0, "port 0"),
        ("10.0.0.1", 65536, "port 65536"),
        ("/run/x.sock", 80, "no port"),
        ("/", 0, "2 to 107 bytes"),
        ("/" + "x" * 107, 0, "2 to 107 bytes"),
        ("/run/\0", 0, "NUL"),
    ],
)
def test_other_addresses_are_refused_in_words(host: str, port: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Target.tcp(host, port)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "POST"}, "neither GET nor HEAD"),
        ({"path": "healthz"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"path": "/\0"}, "NUL"),
        ({"headers": {"A": "b\r\nC: d"}}, "control characters"),
        ({"headers": {"A b": "c"}}, "token"),
        ({"headers": {"Content-Length": "3"}}, "announces a body"),
        ({"status": [99]}, "100..999"),
        ({"status": [1000]}, "100..999"),
        ({"expect_headers": {"Server": ""}}, "lower case"),
        ({"expect_headers": {f"x-{i}": "" for i in range(17)}}, "16"),
        ({"body_contains": b"x" * 1025}, "1..1024"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(**changes)


@pytest.mark.parametrize("host", ["", "a b", "é", "a\r\nb", "h" * 301])
def test_a_host_header_is_visible_ascii(host: str) -> None:
    with pytest.raises(ValueError, match="Host header"):
        Target.http("127.0.0.1", 80, plan(), host)


def test_all_statuses_may_be_expected() -> None:
    plan(status=list(range(100, 1000)) * 2)


def test_an_unresolved_target_fails_or_errs_with_a_reason() -> None:
    assert Target.unresolved(Result.FAIL, Reason.DNS_NXDOMAIN).nbytes == 24
    for result, reason in ((Result.OK, Reason.DNS_NXDOMAIN), (Result.FAIL, 99)):
        with pytest.raises(ValueError, match="not a failure"):
            Target.unresolved(result, reason)


def test_a_target_is_made_by_its_kind_only() -> None:
    with pytest.raises(TypeError, match=r"Target\.tcp"):
        Target()


def test_a_target_is_spent_once_an_engine_has_it() -> None:
    target = Target.tcp("127.0.0.1", 9)
    engine = Engine(capacity=2, connections=2)
    engine.add(0, 1, 0, -1, 1_000_000_000, 1_000_000, target=target)
    assert target.nbytes == 0
    with pytest.raises(RuntimeError, match="handed to an engine"):
        engine.retarget(0, 1, target)
    with pytest.raises(RuntimeError, match="handed to an engine"):
        target.request()


def test_a_plan_outlives_its_python_object() -> None:
    shared = plan(path="/shared")
    targets = [Target.http("127.0.0.1", 80, shared, f"host-{i}") for i in range(3)]
    del shared
    assert [b"GET /shared HTTP/1.1\r\nHost: host-%d\r\n" % i in target.request() for i, target in enumerate(targets)] == [
        True
    ] * 3


def test_scope_ids_follow_the_interface() -> None:
    index = socket.if_nametoindex("lo")
    assert Target.tcp(f"fe80::1%{index}", 80).nbytes == Target.tcp("fe80::1%lo", 80).nbytes
