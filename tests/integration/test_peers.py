"""Hosts that tell of each other: real ones, in one process; one of those that are named is not there."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from benchmarks.shared.many_hosts import many_hosts, one_issuer
from meshkit_fastprobe.server import peers

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


async def asked(diag: fp.Diagnostics, token: str) -> list[dict]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://{diag.address}{PATH}", headers={"authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 200
    return answer.json()["items"]


async def test_the_local_token_stays_at_home(tmp_path, urls):
    async with fp.Diagnostics(settings(tmp_path, urls[0])) as diag:
        [_, other] = await asked(diag, diag.local_token)
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
                [_, *others] = await asked(diag, (tmp_path / "token").read_text())
            nursery.cancel_scope.cancel()
    said = [host["problem"] for host in others]
    assert "does not let you in: HTTP 401" in said[0]
    assert "refused" in said[1]
    assert said[2] == "no answer within 3 s"
    assert said[3]


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
