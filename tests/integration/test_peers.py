"""Hosts that tell of each other: real ones, in one process; one of those that are named is not there."""

from __future__ import annotations

import gzip
import socket
from pathlib import Path

import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from benchmarks.shared.many_hosts import ASKER, AUDIENCE, ISSUER, many_hosts, one_issuer
from meshkit_fastprobe.access import Binding, SecuritySettings, TokenSettings
from meshkit_fastprobe.server import peers
from tests.integration.grpc_caller import caller

pytestmark = pytest.mark.integration

PATH = "/meshkit/diagnostics/v1/fleet/hosts"
HOSTS, PROBES = 10, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="module")
def urls(folder: Path):
    with many_hosts(folder, HOSTS, PROBES) as started:
        yield started


@pytest.fixture(scope="module")
def bearer(folder: Path, urls: list[str]) -> dict[str, str]:
    return {"authorization": f"Bearer {(folder / 'token').read_text()}"}


def told_by(url: str, headers: dict[str, str]) -> list[dict]:
    answer = httpx.get(url + PATH, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_ten_hosts_are_told_of_by_one(urls, bearer):
    here, *others = told_by(urls[-1], bearer)
    assert (here["name"], here["here"], here["probes"]) == ("cp-009", True, PROBES)
    assert [host["name"] for host in others] == [f"cp-{number:03}" for number in range(HOSTS - 1)]
    assert [host["url"] for host in others] == urls[:-1]
    assert all(host["probes"] == PROBES == sum(host["states"].values()) for host in others)


def test_a_host_without_peers_tells_of_itself(urls, bearer):
    assert [host["name"] for host in told_by(urls[0], bearer)] == ["cp-000"]


def settings(tmp_path: Path, *urls: str, **more) -> fp.Settings:
    return fp.Settings(host="cp-x", state_dir=str(tmp_path), server=fp.ServerSettings(listen="127.0.0.1:0", peers=urls), **more)


async def told(diag: fp.Diagnostics, token: str, query: str = "") -> list[dict]:
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.get(f"http://{diag.address}{PATH}{query}", headers={"authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 200
    return answer.json()["items"]


async def test_the_local_token_stays_at_home(tmp_path, urls):
    async with fp.Diagnostics(settings(tmp_path, urls[0])) as diag:
        [_, other] = await told(diag, diag.local_token)
    assert other == {"name": urls[0], "url": urls[0], "problem": peers.LOCAL_TOKEN}


async def test_who_does_not_answer_or_does_not_let_us_in_is_a_row_with_the_reason(tmp_path):
    """A host that nobody else's token opens, a port where nobody listens, one that says nothing, and one that is no host."""
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}"
        gone.close()
        stranger = fp.Diagnostics(fp.Settings(host="other", server=fp.ServerSettings(listen="127.0.0.1:0")))
        async with stranger, trio.open_nursery() as nursery:
            serving = await nursery.start(trio.serve_tcp, nonsense, 0)
            babbler = f"http://127.0.0.1:{serving[0].socket.getsockname()[1]}"
            named = (f"http://{stranger.address}", nobody, f"http://127.0.0.1:{silent.getsockname()[1]}", babbler)
            security = one_issuer(tmp_path)
            async with fp.Diagnostics(settings(tmp_path, *named, security=security)) as diag:
                [_, *others] = await told(diag, (tmp_path / "token").read_text())
            nursery.cancel_scope.cancel()
    said = [host["problem"] for host in others]
    assert "does not let you in: HTTP 401" in said[0]
    assert "refused" in said[1]
    assert said[2] == "no answer within 3 s"
    assert said[3]


DEEP = b'{"host":' + b"[" * 500_000
HUGE = b'{"host": "h", "items": [{"probes": 99999999999999999999, "states": {}, "stale": 0}]}'
PACKED = gzip.compress(b'{"host": "h", "items": []}' + bytes(1 << 20))


@pytest.mark.parametrize("body", [DEEP, HUGE, PACKED], ids=["deep", "huge", "packed"])
async def test_one_that_answers_with_something_hostile_is_a_row_too(tmp_path, body):
    async def hostile(stream):
        heard = await stream.receive_some(4096)
        head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: %d\r\n\r\n"
        asked.append(b"accept-encoding: identity" in heard.lower())
        await stream.send_all(head % (b"gzip" if body is PACKED else b"identity", len(body)) + body)
        await stream.aclose()

    asked = []
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(trio.serve_tcp, hostile, 0)
        named = f"http://127.0.0.1:{serving[0].socket.getsockname()[1]}"
        async with fp.Diagnostics(settings(tmp_path, named, security=one_issuer(tmp_path))) as diag:
            [_, other] = await told(diag, (tmp_path / "token").read_text())
        nursery.cancel_scope.cancel()
    assert other["problem"] == "it answers with something that is no fastprobe payload"
    assert asked == [True]


async def test_whoever_asks_for_no_asking_is_told_at_once_where_the_others_are(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        silent.settimeout(0)
        async with fp.Diagnostics(settings(tmp_path, url, security=one_issuer(tmp_path))) as diag:
            [here, other] = await told(diag, (tmp_path / "token").read_text(), "?ask=false")
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert here["here"]
    assert other == {"name": url, "url": url, "problem": peers.NOT_WANTED}


async def test_over_grpc_peers_are_asked_with_the_token_of_the_call(tmp_path, urls, folder):
    def ask(address):
        with caller(address, token) as asked:
            return asked.call("ListHosts")["items"], asked.call("ListHosts", {"ask": False})["items"]

    token = (folder / "token").read_text()
    security = SecuritySettings(
        tokens=TokenSettings(jwks_file=str(folder / "jwks.json"), issuer=ISSUER, audience=AUDIENCE),
        bindings=(Binding(f"user:{ASKER}", "admin"),),
    )
    async with fp.Diagnostics(settings(tmp_path, urls[0], security=security)) as diag:
        asked, unasked = await trio.to_thread.run_sync(ask, diag.address)
    assert (asked[1]["name"], asked[1]["probes"], "problem" in asked[1]) == ("cp-000", str(PROBES), False)
    assert unasked[1]["problem"] == peers.NOT_WANTED


async def test_a_visitor_over_the_unix_socket_is_told_why_nobody_was_asked(tmp_path, urls):
    path = str(tmp_path / "socket")
    server = fp.ServerSettings(listen=f"unix:{path}", peers=(urls[0],))
    async with fp.Diagnostics(fp.Settings(host="cp-x", state_dir=str(tmp_path), server=server)):
        transport = httpx.AsyncHTTPTransport(uds=path)
        async with httpx.AsyncClient(transport=transport, timeout=30) as http:
            items = (await http.get(f"http://localhost{PATH}")).json()["items"]
    assert items[1]["problem"] == peers.NO_TOKEN


async def nonsense(stream: trio.SocketStream) -> None:
    await stream.receive_some(4096)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n<html/>")
    await stream.aclose()


async def test_a_file_without_certificates_is_refused_at_the_start(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("nothing")
    server = fp.ServerSettings(listen="127.0.0.1:0", peers=("https://cp-2",), peers_ca=str(path))
    with pytest.raises(fp.ConfigError, match="peers_ca"):
        async with fp.Diagnostics(fp.Settings(host="cp-x", server=server)):
            pass
