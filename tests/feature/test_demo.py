from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import psutil
import pytest

from .conftest import Host, until

pytestmark = pytest.mark.feature

KEYS = {
    "probes", "seconds", "runs", "expectedRuns", "skipped", "dropped", "states", "results", "reasons", "lagMs",
    "cpuSeconds", "rssBytes",
}  # fmt: skip


def demo(host: Host, *arguments: str) -> dict:
    ended = host.run("demo", "--listen", host.listen, "--state-dir", str(host.state_dir), "-o", "json", *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.hyperscale
def test_ten_thousand_probes_run_as_often_as_their_intervals_ask_and_end_in_the_expected_states(host):
    told = demo(host, "--for", "10s", "--probes", "10000")
    assert set(told) >= KEYS
    assert told["probes"] == 10_000
    assert abs(told["runs"] / told["expectedRuns"] - 1) < 0.02
    assert told["dropped"] == 0
    assert told["unexpected"] == 0
    roles = told["roles"]
    assert set(roles["slow"]) <= {"degraded", "unknown"}
    assert set(roles["refusing"]) <= {"unhealthy", "unknown"}
    assert set(roles["hanging"]) <= {"unhealthy", "unknown"}
    assert set(roles["flapping"]) >= {"healthy", "unhealthy"}
    assert set(told["reasons"]) >= {"connect_refused", "http_status", "response_timeout", "slow", "dns_nxdomain"}
    assert set(told["lagMs"]) == {"p50", "p99", "max"}


def test_a_small_demo_ends_with_a_summary_for_people(host):
    ended = host.run(
        "demo", "--for", "3s", "--probes", "300", "--targets", "30", "--listen", host.listen, "--state-dir", str(host.state_dir)
    )
    assert ended.returncode == 0, ended.stderr
    assert "300 on " in ended.stdout
    assert "expected" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_the_token_file_is_for_its_owner_alone_and_opens_the_endpoints(host):
    host.start("demo", "--probes", "100", "--listen", host.listen, "--state-dir", str(host.state_dir))
    token = host.state_dir / "local-token"
    until(lambda: token.exists() and host.ask("status").returncode in {0, 1}, "the demo answers")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    token.unlink()
    refused = host.ask("status")
    assert refused.returncode == 3
    assert "->" in refused.stderr


def test_a_demo_that_is_killed_leaves_no_target_behind(host):
    process = host.start("demo", "--probes", "100", "--listen", host.listen, "--state-dir", str(host.state_dir))
    children = until(lambda: psutil.Process(process.pid).children(), "the targets' process starts")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children), "it goes too")


def test_ctrl_c_ends_a_demo_with_its_summary(host):
    process = host.start("demo", "--probes", "100", "--listen", host.listen, "--state-dir", str(host.state_dir), "-o", "json")
    until(lambda: host.ask("status").returncode in {0, 1}, "the demo answers")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert json.loads(out)["probes"] == 100


def test_a_taken_port_is_told_with_what_to_do(host):
    host.start("demo", "--probes", "100", "--listen", host.listen, "--state-dir", str(host.state_dir))
    until(lambda: host.ask("status").returncode in {0, 1}, "the first demo answers")
    second = host.run(
        "demo", "--for", "3s", "--probes", "100", "--listen", host.listen, "--state-dir", str(Path(host.state_dir) / "b")
    )
    assert second.returncode == 2
    assert "Traceback" not in second.stderr
    assert host.listen in second.stderr
