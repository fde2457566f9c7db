"""One command, many hosts: real ones, each with endpoints of its own, in one process; some of those named are not there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from benchmarks.shared.many_hosts import many_hosts

pytestmark = pytest.mark.integration

HOSTS, PROBES = 12, 20
DOWN = HOSTS * 2
"""One probe in ten looks at a port where nobody listens."""

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    ours = {
        "FASTPROBE_CONFIG": str(folder / "config.toml"),
        "FASTPROBE_STATE_DIR": str(folder),
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
    return {**{name: value for name, value in os.environ.items() if not name.startswith("FASTPROBE")}, **ours}


@pytest.fixture(scope="module")
def urls(folder: Path, environment: dict[str, str]) -> Iterator[list[str]]:
    """All of them, with every probe run; and a context that names them."""
    with many_hosts(folder, HOSTS, PROBES) as started:
        (folder / "hosts.txt").write_text("\n".join(started))
        context = '[context.all]\nhosts_file = "hosts.txt"\ntoken_file = "token"\n'
        (folder / "config.toml").write_text(f'current = "all"\n\n{context}')
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            told = json.loads(run(environment, "status", "-o", "json").stdout)
            if not any(row.get("states", {}).get("unknown", row.get("problem")) for row in told["hosts"]):
                break
            time.sleep(0.2)
        yield started


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meshkit_fastprobe", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def ask(environment: dict[str, str], urls: list[str]) -> Ask:
    return lambda *arguments: run(environment, *arguments)


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def one_gone(folder: Path, environment: dict[str, str], urls: list[str], nobody: str) -> Iterator[Ask]:
    """A context of all hosts and one that is not there."""
    config = folder / "config.toml"
    before = config.read_text()
    config.write_text(before.replace("hosts_file", f'hosts = ["{nobody}"]\nhosts_file'))
    yield lambda *arguments: run(environment, *arguments)
    config.write_text(before)


def document(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_status_has_a_row_for_each_host_and_the_worst_of_all(ask):
    ended = ask("status", "-o", "json")
    told = document(ended)
    assert [row["host"] for row in told["hosts"]] == [f"cp-{number:03}" for number in range(HOSTS)]
    assert {row["probes"] for row in told["hosts"]} == {PROBES}
    assert {item["host"] for item in told["worst"]} == {row["host"] for row in told["hosts"]}
    assert ended.returncode == 1


def test_a_host_that_is_not_there_is_a_row_with_its_reason_and_exit_code_4(one_gone, nobody):
    ended = one_gone("status")
    assert f"{HOSTS} of {HOSTS + 1} hosts answer" in ended.stdout
    assert [line.split()[-2:] for line in ended.stdout.splitlines() if line.startswith(nobody)] == [["connection", "refused"]]
    assert ended.returncode == 4


@pytest.mark.parametrize("verb", [("probes", "list"), ("groups",)])
def test_listings_have_the_row_too_and_documents_an_entry(one_gone, nobody, verb):
    table = one_gone(*verb)
    assert [line for line in table.stdout.splitlines() if "! no answer" in line and "connection refused" in line]
    assert table.returncode == 4
    as_json = one_gone(*verb, "-o", "json")
    assert [(one["host"], one["problem"]) for one in document(as_json)["problems"]] == [(nobody, "connection refused")]
    names = one_gone(*verb, "-o", "name")
    assert f"{nobody}: connection refused" in names.stderr


def test_probes_of_all_hosts_are_merged_and_say_whose_they_are(ask):
    told = document(ask("probes", "list", "--state", "unhealthy", "-o", "json"))
    assert len(told["items"]) == DOWN
    assert len({item["host"] for item in told["items"]}) == HOSTS
    assert "HOST" in ask("probes", "list", "--state", "unhealthy").stdout.splitlines()[0]


def test_the_worst_of_all_hosts_come_first_also_when_they_are_last_by_name(ask):
    told = document(ask("probes", "list", "--sort", "state", "--limit", str(DOWN), "-o", "json"))
    assert {item["state"] for item in told["items"]} == {"unhealthy"}
    assert len(told["items"]) == DOWN


def test_groups_are_filtered_at_the_hosts(ask):
    told = document(ask("groups", "--cluster", "eu-1", "--namespace", "orders", "-o", "json"))
    assert {(item["tags"]["cluster"], item["tags"]["namespace"]) for item in told["items"]} == {("eu-1", "orders")}
    assert {item["host"] for item in told["items"]} == {"cp-000", "cp-004", "cp-008"}
    unhealthy = [document(ask("groups", "--sort", "unhealthy", "-o", "json"))["items"][0]["states"].get("unhealthy", 0)]
    assert unhealthy > [0]


def test_a_page_token_is_of_one_host(ask):
    refused = ask("probes", "list", "--page-token", "x")
    assert (refused.returncode, "belongs to one host" in refused.stderr) == (2, True)


def test_pages_of_one_host_are_gone_through_to_the_end(ask, urls, folder):
    alone = ("--host", urls[0], "--token-file", str(folder / "token"), "-o", "json")
    seen, token = [], ()
    while True:
        told = document(ask("probes", "list", "--limit", "7", *token, *alone))
        seen += [item["name"] for item in told["items"]]
        if "nextPageToken" not in told:
            break
        token = ("--page-token", told["nextPageToken"])
    assert seen == [f"p{number:05}" for number in range(PROBES)]


def test_a_named_context_beats_the_current_one(ask, folder):
    refused = ask("status", "--context", "other")
    assert (refused.returncode, "no context named 'other'" in refused.stderr) == (2, True)


def test_events_of_all_hosts_come_as_one_feed_that_says_whose_they_are(environment, ask):
    command = [sys.executable, "-m", "meshkit_fastprobe", "events", "-o", "json", "--types", "toggle"]
    heard: set[str] = set()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as feed:
        assert feed.stdout is not None
        reader = Thread(target=lambda: heard.update(json.loads(line)["host"] for line in feed.stdout or ()))
        reader.start()
        deadline_s = time.monotonic() + 60
        try:
            # What happens before all streams stand is not heard: so again, until all were.
            while len(heard) < HOSTS and time.monotonic() < deadline_s:
                for value in ("off", "on"):
                    told = ask("toggles", "set", "chaos.enabled", value)
                    assert told.returncode == 0, told.stderr
        finally:
            feed.terminate()
        reader.join(20)
    assert heard == {f"cp-{number:03}" for number in range(HOSTS)}
