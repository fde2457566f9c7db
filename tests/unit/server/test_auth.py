"""The token file on a real file system, the guard on bare ASGI messages."""

import json
import os
import stat

import pytest
import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.auth import LOOPBACK_HOSTS, TOKEN_FILE, Guard, read_token, rotate_token
from meshkit_fastprobe.server.reply import Reply


def test_the_token_file_is_for_its_owner_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        token = rotate_token(tmp_path / "state")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "state" / TOKEN_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert read_token(tmp_path / "state") == token
    assert len(token) >= 40


def test_each_start_has_a_new_token_and_leaves_nothing_else_behind(tmp_path):
    first = rotate_token(tmp_path)
    second = rotate_token(tmp_path)
    assert first != second
    assert read_token(tmp_path) == second
    assert [entry.name for entry in tmp_path.iterdir()] == [TOKEN_FILE]


def test_a_symbolic_link_in_the_place_of_the_token_is_refused_and_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    state = tmp_path / "state"
    state.mkdir()
    (state / TOKEN_FILE).symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="not a regular file"):
        rotate_token(state)
    assert elsewhere.read_text() == "mine"
    assert read_token(state) is None


def test_a_directory_that_everybody_may_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="chmod o-w"):
        rotate_token(tmp_path)
    tmp_path.chmod(0o1777)
    rotate_token(tmp_path)


def test_a_state_dir_that_is_a_file_is_a_configuration_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"host\.state_dir"):
        rotate_token(tmp_path / "file")


def test_no_token_file_reads_as_none(tmp_path):
    assert read_token(tmp_path) is None
    (tmp_path / TOKEN_FILE).touch()
    assert read_token(tmp_path) is None


def ask(path="/metrics", *headers, token="secret", hosts=LOOPBACK_HOSTS, kind="http"):
    """What a guarded app that always answers 200 gives for this request."""
    sent = []

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
    trio.run(Guard(Reply(200, "text/plain", b"in"), token, hosts), scope, receive, send)
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
