"""What would be done, said on a real host; and nothing of it is done."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Host, until

pytestmark = pytest.mark.feature

CHAOS = """
[chaos]

[[probe]]
name = "gone"
kind = "tcp"
target = "127.0.0.1:9"
interval = "100ms"
timeout = "50ms"

[[chaos.experiment]]
id = "rehearsal"
fault = "null"
target = "orders"
duration = "60s"
"""


@pytest.fixture
def running(host: Host, tmp_path: Path) -> Iterator[Host]:
    config = tmp_path / "fastprobe.toml"
    config.write_text(f'[host]\nname = "cp-1"\nstate_dir = "{host.state_dir}"\n[server]\nlisten = "{host.listen}"\n' + CHAOS)
    process = host.start("run", str(config))
    until(lambda: host.probe("gone").get("state") == "unhealthy", "the probe runs")
    for name in ("chaos.enabled", "chaos.null.enabled"):
        assert host.ask("toggles", "set", name, "on").returncode == 0
    yield host
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def said(host: Host, *words: str) -> str:
    told = host.ask("chaos", *words, "--dry-run")
    assert told.returncode == 0, told.stderr
    return told.stdout


def refused_alike(host: Host, *words: str) -> str:
    """What both the verb and its dry run are refused with."""
    dry, real = (host.ask("chaos", *words, *more) for more in (["--dry-run"], []))
    assert (dry.returncode, dry.stdout, _at_any_time(dry.stderr)) == (3, "", _at_any_time(real.stderr))
    assert real.returncode == 3
    return real.stderr


def _at_any_time(told: str) -> str:
    """The same a second later."""
    return re.sub(r"\d+ s ago", "some time ago", told)


def phase(host: Host) -> str:
    return json.loads(host.ask("chaos", "show", "rehearsal", "-o", "json").stdout)["phase"]


def test_saying_what_would_be_done_does_nothing(running: Host) -> None:
    for verb in ("prepare", "activate"):
        assert "plan" in said(running, verb, "rehearsal")
    assert phase(running) == "draft"
    assert "find nothing to stop of rehearsal, which is draft" in said(running, "stop", "rehearsal")
    assert json.loads(running.ask("chaos", "history", "-o", "json").stdout)["items"] == []

    prepared = json.loads(running.ask("chaos", "prepare", "rehearsal", "-o", "json").stdout)
    token = prepared["confirmation"]["token"]
    # With the token in hand too: what is confirmed is shown, and neither injected nor taken back.
    assert prepared["confirmation"]["planId"] in said(running, "activate", "rehearsal", "--token", token)
    for verb in ("prepare", "activate"):  # without it too: what waits is not taken back
        assert prepared["confirmation"]["planId"] in said(running, verb, "rehearsal")
    assert phase(running) == "prepared"
    assert refused_alike(running, "activate", "rehearsal", "--token", "of-nobody", "--yes")
    wrong = running.ask("chaos", "approve", "rehearsal", "--plan", "ab", "--dry-run")
    assert (wrong.returncode, "plan ab does not wait for a second person" in wrong.stderr) == (3, True)
    assert "would stop rehearsal, which is prepared" in said(running, "stop", "rehearsal")

    assert running.ask("chaos", "activate", "rehearsal", "--token", token).returncode == 0
    assert "would stop rehearsal, which is active" in said(running, "stop", "rehearsal")
    assert "and end 1 runs\n  rehearsal, which is active" in said(running, "halt")
    assert phase(running) == "active"
    assert running.ask("chaos", "halt").returncode == 0
    assert "would let experiments start again" in said(running, "resume", "--reason", "over")
    assert "prepare it: fastprobe chaos prepare" in refused_alike(running, "activate", "rehearsal", "--token", token)
    assert "halted" in refused_alike(running, "prepare", "rehearsal")
    assert "halted" in refused_alike(running, "activate", "rehearsal", "--yes")
