"""The guard on bare ASGI messages."""

import json
import os

import pytest
import trio

from meshkit_fastprobe.access import SecuritySettings
from meshkit_fastprobe.security.audit_chain import Entry
from meshkit_fastprobe.security.denials import FOLD_S, Denials
from meshkit_fastprobe.security.gate import Gate
from meshkit_fastprobe.server.guard import LOOPBACK_HOSTS, Admission, Guard
from meshkit_fastprobe.server.identity import Identities
from meshkit_fastprobe.server.peer import NOBODY, PEER, Peer
from meshkit_fastprobe.server.reply import Reply


def ask(path="/metrics", *headers, token="secret", hosts=LOOPBACK_HOSTS, kind="http", gate=None, denied=None, peer=NOBODY):
    """What a guarded app that always answers 200 gives for this request."""
    sent = []
    denied = [] if denied is None else denied
    gate = gate or Gate(SecuritySettings())

    async def send(message):
        sent.append(message)

    async def receive():
        raise AssertionError("the guard reads no body")

    scope = {
        "type": kind,
        "method": "GET",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    guard = Guard(Reply(200, "text/plain", b"in"), Admission(Identities(token), gate, Denials(denied.append), hosts))

    async def from_peer():
        PEER.set(peer)
        await guard(scope, receive, send)

    trio.run(from_peer)
    return sent


HOST = ("host", "localhost:9464")
BEARER = ("authorization", "Bearer secret")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_liveness_and_readiness_need_nobody(path):
    assert ask(path)[0]["status"] == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/livez/", "/LIVEZ", "//livez", "/livez/../metrics", "/meshkit/diagnostics/v1/probes", "/nonsense", ""],
)
def test_everything_else_is_refused_without_a_token(path):
    start, body = ask(path, HOST)
    assert start["status"] == 401
    assert dict(start["headers"])[b"www-authenticate"].startswith(b"Bearer")
    assert json.loads(body["body"])["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer secret2",
        "Basic secret",
        "secret",
        "Bearer secret secret",
        "Bearer sécret",
    ],
)
def test_only_the_whole_token_as_a_bearer_opens(value):
    assert ask("/metrics", HOST, ("authorization", value))[0]["status"] == 401


@pytest.mark.parametrize("value", ["Bearer secret", "bearer secret", "BEARER  secret"])
def test_the_scheme_is_case_insensitive(value):
    assert ask("/metrics", HOST, ("authorization", value))[0]["status"] == 200


def test_two_authorization_headers_are_one_too_many():
    assert ask("/metrics", HOST, BEARER, BEARER)[0]["status"] == 401


def test_without_a_token_of_its_own_the_guard_lets_nobody_in():
    assert ask("/metrics", HOST, ("authorization", "Bearer "), token=None)[0]["status"] == 401
    assert ask("/metrics", HOST, ("authorization", "Bearer None"), token=None)[0]["status"] == 401


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:9464", "LOCALHOST:1"])
def test_loopback_names_are_answered(host):
    assert ask("/metrics", ("host", host), BEARER)[0]["status"] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.nip.io", "", "localhost:x"]
)
def test_a_rebound_name_is_refused_even_with_the_token(host):
    assert ask("/metrics", ("host", host), BEARER)[0]["status"] == 421


def test_no_host_header_or_two_are_refused():
    assert ask("/metrics", BEARER)[0]["status"] == 421
    assert ask("/metrics", HOST, HOST, BEARER)[0]["status"] == 421


def test_a_unix_socket_takes_any_host():
    assert ask("/metrics", ("host", "anything"), BEARER, hosts=None)[0]["status"] == 200


def test_websockets_are_closed_unopened():
    assert ask("/livez", kind="websocket") == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    "origin", ["http://localhost:9464", "HTTP://LOCALHOST:9464", "https://status.example", "https://status.example:8443"]
)
def test_a_page_of_this_host_or_of_a_name_that_is_configured_may_ask(origin):
    hosts = LOOPBACK_HOSTS | {"status.example"}
    assert ask("/metrics", HOST, BEARER, ("origin", origin), hosts=hosts)[0]["status"] == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "",
        "http://localhost",
        "http://localhost:3000",  # another server on the same machine
        "http://127.0.0.1:9464",
        "http://evil@localhost:9464",
    ],
)
def test_a_page_of_another_site_may_not(origin):
    start, body = ask("/metrics", HOST, BEARER, ("origin", origin))
    assert (start["status"], json.loads(body["body"])["code"]) == (403, "origin_refused")


def test_who_is_refused_is_written_down_once_with_the_address_and_without_the_token():
    denied = []
    ask("/metrics", HOST, ("authorization", "Bearer hunter2"), denied=denied, peer=Peer(address="127.0.0.9"))
    assert [(entry.actor, entry.action, entry.result, entry.scope) for entry in denied] == [
        ("unknown:127.0.0.9", "authenticate", "denied", "GET /metrics")
    ]
    assert "hunter2" not in repr(denied)


def test_whoever_asks_too_often_is_told_when_to_come_back():
    gate = Gate(SecuritySettings(max_rate=0.5))
    assert ask("/metrics", HOST, BEARER, gate=gate)[0]["status"] == 200
    start, body = ask("/metrics", HOST, BEARER, gate=gate)
    assert (start["status"], json.loads(body["body"])["code"]) == (429, "too_often")
    assert dict(start["headers"])[b"retry-after"] in {b"1", b"2"}
    assert ask("/livez", HOST, gate=gate)[0]["status"] == 200


def test_the_user_behind_a_unix_socket_is_known_without_a_token():
    for uid, status in ((os.geteuid(), 200), (0, 200), (os.geteuid() + 1, 401), (None, 401)):
        assert ask("/metrics", peer=Peer("unix", uid=uid), hosts=None)[0]["status"] == status


def test_a_bad_token_is_refused_also_from_a_known_user():
    peer = Peer("unix", uid=os.geteuid())
    assert ask("/metrics", ("authorization", "Bearer wrong"), peer=peer, hosts=None)[0]["status"] == 401


async def test_what_was_counted_is_written_when_its_minute_is_over_though_nobody_is_refused_again(mock_clock):
    denied = []
    denials = Denials(denied.append, trio.current_time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(denials.run)
        for _ in range(5):
            denials.deny(Entry(actor="user:anna", action="probes.write", result="denied"))
        await trio.sleep(FOLD_S + 1)
        nursery.cancel_scope.cancel()
    assert [entry.detail for entry in denied] == ["", "4 more times within a minute"]
