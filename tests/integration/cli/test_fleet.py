"""The fleet as one host knows it: real hosts in one process, of which the last knows the others."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

import meshkit_fastprobe as fp
from benchmarks.shared.many_hosts import many_hosts, one_issuer
from meshkit_fastprobe.chaos.faults.null import Null
from tests.integration.security.conftest import World, issue

pytestmark = pytest.mark.integration

HOSTS, PROBES = 3, 20
NAMES = ["cp-002", "cp-000", "cp-001"]
"""The one that tells comes first."""

Ended = subprocess.CompletedProcess[str]


def run(folder: Path, *arguments: str, **more: str) -> Ended:
    ours = {
        "FASTPROBE_CONFIG": str(folder / "none.toml"),
        "FASTPROBE_STATE_DIR": str(folder),
        "NO_COLOR": "1",
        "COLUMNS": "140",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FASTPROBE")}
    command = [sys.executable, "-m", "meshkit_fastprobe", *arguments]
    return subprocess.run(command, env=kept | ours | more, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def urls(folder: Path) -> Iterator[list[str]]:
    with many_hosts(folder, HOSTS, PROBES) as started:
        yield started


@pytest.fixture
def ask(folder: Path, urls: list[str]) -> Callable[..., Ended]:
    """The host that knows the others."""
    token = str(folder / "token")
    return lambda *arguments, host=urls[-1]: run(folder, *arguments, "--host", host, "--token-file", token)


@pytest.fixture
def nobody() -> Iterator[socket.socket]:
    """A port that connections come to; nobody takes them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_members_are_the_host_itself_and_those_it_knows(ask, urls):
    ended = ask("fleet", "members", "-o", "json")
    items = json.loads(ended.stdout)["items"]
    assert [item["name"] for item in items] == NAMES
    assert [item["url"] for item in items] == [urls[-1], *urls[:-1]]
    assert [item.get("here", False) for item in items] == [True, False, False]
    assert ended.returncode == 0


def test_their_names_are_what_host_takes(ask, urls, folder):
    listed = folder / "members.txt"
    listed.write_text(ask("fleet", "members", "-o", "name").stdout)
    assert listed.read_text().split() == [urls[-1], *urls[:-1]]
    assert f"{HOSTS} of {HOSTS} hosts answer" in ask("status", host=f"@{listed}").stdout


def test_members_are_a_table_with_the_teller_marked(ask, urls):
    lines = ask("fleet", "members").stdout.splitlines()
    assert lines[0].split() == ["HOST", "ADDRESS", "PROBES", "CHAOS", "NOTE"]
    assert [line.split()[:3] for line in lines[1:2]] == [["*", "cp-002", urls[-1]]]


def test_status_of_the_fleet_is_that_of_all_its_hosts_by_either_way(ask):
    rows = [
        [row["host"] for row in json.loads(ask(*verb, "-o", "json").stdout)["hosts"]]
        for verb in (("status", "--fleet"), ("fleet", "status"))
    ]
    assert rows == [NAMES, NAMES]


@pytest.mark.parametrize("verb", [("groups",), ("probes", "list"), ("toggles", "list"), ("probes", "show", "p00001")])
def test_what_reads_reads_all_of_them(ask, verb):
    ended = ask(*verb, "--fleet", "-o", "json")
    assert {item["host"] for item in json.loads(ended.stdout)["items"]} == set(NAMES), ended.stderr


def test_the_first_host_that_answers_tells(ask, urls, folder, nobody):
    gone = url_of(nobody)
    nobody.close()
    assert (
        f"{HOSTS} of {HOSTS} hosts answer"
        in run(folder, "status", "--fleet", "--host", gone, "--host", urls[-1], "--token-file", str(folder / "token")).stdout
    )


def test_a_host_that_knows_no_other_says_so_and_what_to_do(ask, urls):
    ended = ask("status", "--fleet", host=urls[0])
    what, next_step = ended.stderr.splitlines()
    assert what == "fastprobe: cp-000 knows no other hosts"
    assert "[server] peers" in next_step
    assert (ended.stdout, ended.returncode) == ("", 2)
    alone = ask("fleet", "members", host=urls[0])
    assert ("cp-000" in alone.stdout, "knows no other hosts" in alone.stderr, alone.returncode) == (True, True, 0)


def test_shards_are_who_probes_what(ask):
    ended = ask("fleet", "shards", "-o", "json")
    document = json.loads(ended.stdout)
    assert "problems" not in document
    assert sorted({one["host"] for item in document["items"] for one in item["hosts"]}) == sorted(NAMES)
    assert sum(one["probes"] for item in document["items"] for one in item["hosts"]) == HOSTS * PROBES
    tags = [f"{item['cluster']}/{item['namespace']}" for item in document["items"]]
    assert ask("fleet", "shards", "-o", "name").stdout.split() == tags
    lines = ask("fleet", "shards").stdout.splitlines()
    assert lines[0].split() == ["CLUSTER", "NAMESPACE", "PROBES", "HOSTS", "FROM", "HELD", "BY"]
    assert ended.returncode == 0


async def test_shards_tell_of_a_host_that_is_not_there(tmp_path, nobody):
    gone = url_of(nobody)
    nobody.close()
    security = one_issuer(tmp_path)
    probe = fp.TcpProbe("127.0.0.1:9")
    where = {"interval": 10, "timeout": 1, "cluster": "eu-1", "namespace": "orders"}
    async with fp.Diagnostics(settings(tmp_path, "cp-2", security=security)) as other:
        other.add(probe, name="a", **where)
        known = (f"http://{other.address}", gone)
        async with fp.Diagnostics(settings(tmp_path, "cp-1", *known, security=security)) as diag:
            diag.add(probe, name="a", **where)
            diag.add(probe, name="b", **where)
            shown = await asked(tmp_path, diag, tmp_path / "token", "fleet", "shards")
            listed = await asked(tmp_path, diag, tmp_path / "token", "fleet", "shards", "-o", "json", "--namespace", "orders")
    assert shown.stdout.splitlines()[1].split()[:5] == ["eu-1", "orders", "2", "2", "1-2"]
    assert "cp-1 2, cp-2 1" in shown.stdout
    assert "no answer: connection refused" in shown.stdout
    document = json.loads(listed.stdout)
    assert [item["namespace"] for item in document["items"]] == ["orders"]
    assert [(one["host"], one["problem"]) for one in document["problems"]] == [(gone, "connection refused")]
    assert (shown.returncode, listed.returncode) == (4, 4)


def settings(folder: Path, name: str, *peers: str, **more) -> fp.Settings:
    return fp.Settings(
        host=name, state_dir=str(folder / name), server=fp.ServerSettings(listen="127.0.0.1:0", peers=peers), **more
    )


async def asked(folder: Path, diag: fp.Diagnostics, token: Path, *arguments: str) -> Ended:
    named = ("--host", f"http://{diag.address}", "--token-file", str(token))
    return await trio.to_thread.run_sync(lambda: run(folder, *arguments, *named))


async def test_halt_and_resume_reach_all_and_tell_of_who_is_not_there(tmp_path, nobody):
    gone = url_of(nobody)
    nobody.close()
    security = one_issuer(tmp_path)
    chaos = fp.ChaosSettings()
    async with fp.Diagnostics(settings(tmp_path, "cp-1", security=security, chaos=chaos)) as other:
        known = (f"http://{other.address}", gone)
        async with fp.Diagnostics(settings(tmp_path, "cp-2", *known, security=security, chaos=chaos)) as diag:
            halted = await asked(tmp_path, diag, tmp_path / "token", "chaos", "halt", "--fleet")
            still = await asked(tmp_path, diag, tmp_path / "token", "toggles", "list", "--fleet", "-o", "json")
            resumed = await asked(tmp_path, diag, tmp_path / "token", "chaos", "resume", "--reason", "well", "--fleet")
    assert [line.partition(";")[0] for line in halted.stdout.splitlines()] == [f"all chaos is halted on cp-{n}" for n in (2, 1)]
    assert f"{gone}: connection refused" in halted.stderr
    assert (halted.returncode, still.returncode, resumed.returncode) == (4, 4, 4)
    assert resumed.stdout.splitlines() == [f"experiments may start again on cp-{n}" for n in (2, 1)]


async def test_what_is_stopped_and_paused_on_several_tells_of_who_is_not_there(tmp_path, nobody):
    gone = url_of(nobody)
    nobody.close()
    stay = fp.Experiment(id="rehearsal", fault=Null(target="orders"), duration_s=60.0)
    chaos, security = fp.ChaosSettings(experiments=(stay,)), one_issuer(tmp_path)
    on = ("chaos.enabled", "chaos.null.enabled")
    toggles = {name: {"name": name, "value": True, "version": 1} for name in on}
    (tmp_path / "cp-1").mkdir()
    (tmp_path / "cp-1/toggles.json").write_text(json.dumps({"toggles": toggles}))
    async with fp.Diagnostics(settings(tmp_path, "cp-1", security=security, chaos=chaos)) as diag:
        diag.add(fp.TcpProbe("127.0.0.1:9"), name="a", interval=10, timeout=1)
        await diag.chaos.prepare("rehearsal", subject="user:anna")
        ended = [
            await asked(tmp_path, diag, tmp_path / "token", *verb, "--host", gone)
            for verb in (
                ("chaos", "stop", "rehearsal", "--dry-run"),
                ("chaos", "stop", "rehearsal"),
                ("probes", "pause", "a", "--dry-run"),
                ("probes", "pause", "a"),
            )
        ]
        assert diag.chaos.current("rehearsal").phase == "cancelled"
    assert [(one.returncode, f"{gone}: connection refused" in one.stderr) for one in ended] == [(4, True)] * 4


async def test_a_local_token_is_sent_to_no_other_host(tmp_path, nobody):
    async with fp.Diagnostics(settings(tmp_path, "cp-1", url_of(nobody))) as diag:
        refused = await asked(tmp_path, diag, tmp_path / "cp-1" / "local-token", "chaos", "halt", "--fleet")
        shown = await asked(tmp_path, diag, tmp_path / "cp-1" / "local-token", "fleet", "members")
    assert "a local token is good on its own host alone" in refused.stderr
    assert (refused.stdout, refused.returncode) == ("", 3)
    assert ("not asked" in shown.stdout, shown.returncode) == (True, 4)
    with pytest.raises(BlockingIOError):
        nobody.accept()


async def test_a_certificate_is_shown_to_each_host_by_its_owner(tmp_path):
    """The host that tells cannot ask its peers with it, and says so; the command can."""
    world = World(tmp_path)
    mine = tmp_path / "mine.pem"
    mine.write_bytes(issue(world.clients, "spiffe://mesh/orders"))
    authority = tmp_path / "authority.pem"
    world.authority.cert_pem.write_to_path(authority)
    certificate = {"FASTPROBE_CA_FILE": str(authority), "FASTPROBE_CERT_FILE": str(mine)}

    def host(name: str, *peers: str) -> fp.Diagnostics:
        server = fp.ServerSettings(listen="127.0.0.1:0", tls=world.tls, peers=peers)
        return fp.Diagnostics(fp.Settings(host=name, state_dir=str(tmp_path / name), server=server, security=world.security))

    async with host("cp-1") as other, host("cp-2", f"https://{other.address}") as diag:
        named = ("--host", f"https://{diag.address}", "-o", "json")
        told = await trio.to_thread.run_sync(lambda: run(tmp_path, "fleet", "members", *named, **certificate))
        seen = await trio.to_thread.run_sync(lambda: run(tmp_path, "status", "--fleet", *named, **certificate))
    assert [("problem" in item) for item in json.loads(told.stdout)["items"]] == [False, True]
    assert [row["host"] for row in json.loads(seen.stdout)["hosts"]] == ["cp-2", "cp-1"]
    assert seen.returncode == 0
