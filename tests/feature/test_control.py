"""An operator's hand on a running host, by the command line alone: switch, look who did what, verify."""

from __future__ import annotations

import json
import signal

import pytest

from .conftest import until

pytestmark = pytest.mark.feature


@pytest.fixture
def running(host, tmp_path):
    config = tmp_path / "fastprobe.toml"
    config.write_text(
        f'[host]\nname = "cp-1"\nstate_dir = "{host.state_dir}"\n\n[server]\nlisten = "{host.listen}"\n\n'
        '[toggles]\n"chaos.enabled" = false\n\n'
        '[[probe]]\nname = "gone"\nkind = "tcp"\ntarget = "127.0.0.1:9"\ninterval = "100ms"\ntimeout = "50ms"\n'
    )
    process = host.start("run", str(config))
    until(lambda: host.probe("gone").get("state") == "unhealthy", "the probe runs")
    yield host
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_kind_is_switched_off_and_the_audit_tells_who_and_why(running):
    told = running.ask("toggles", "set", "probes.tcp.enabled", "off", "--reason", "moving the database", "-o", "json")
    assert told.returncode == 0
    assert running.probe("gone")["state"] == "paused"
    records = json.loads(running.ask("audit", "list", "--action", "toggle.set", "-o", "json").stdout)["items"]
    assert [(item["actor"], item["action"], item["scope"], item["reason"]) for item in records] == [
        ("local", "toggle.set", "probes.tcp.enabled", "moving the database")
    ]
    assert running.ask("toggles", "set", "probes.tcp.enabled", "on").returncode == 0
    until(lambda: running.probe("gone").get("state") == "unhealthy", "it runs again")


def test_what_the_configuration_keeps_off_stays_off_and_the_error_says_so(running):
    refused = running.ask("toggles", "set", "chaos.enabled", "on")
    assert refused.returncode == 2
    assert "keeps chaos.enabled at off" in refused.stderr
    assert "->" in refused.stderr


def test_a_dry_run_changes_nothing(running):
    told = running.ask("toggles", "set", "probes.enabled", "off", "--dry-run")
    assert "would set probes.enabled to off" in told.stdout
    assert running.probe("gone")["state"] == "unhealthy"


def test_the_audit_verifies_while_the_host_runs_and_a_cut_tail_is_found_by_a_head_that_was_kept(running):
    verify = ("audit", "verify", "--state-dir", str(running.state_dir))
    assert running.ask("probes", "pause", "gone").returncode == 0
    intact = running.run(*verify)
    assert (intact.returncode, intact.stdout.splitlines()[0]) == (0, "intact")
    cut = running.run(*verify, "--head", "7:" + "00" * 32)
    assert (cut.returncode, cut.stdout.split()[0]) == (1, "truncated")
    exported = running.run("audit", "export", "--state-dir", str(running.state_dir))
    actions = [json.loads(line)["entry"]["action"] for line in exported.stdout.splitlines()]
    # Whoever asked before there was a token was refused, which is on record too.
    assert [action for action in actions if action != "authenticate"] == ["probe.pause"]
