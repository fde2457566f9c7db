"""The operator's story: a service, probes on it, experiments from the command line, a guardrail, a kill -9 in the middle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.feature, pytest.mark.slow, pytest.mark.timeout(600)]

SCENE = Path(__file__).parent / "chaos_story_scene.py"
SLACK_S = 0.3
"""For a loaded machine to send a probe that is due."""


@pytest.fixture(scope="module")
def told():
    if shutil.which("nft") is None:
        pytest.skip("needs nft: apt-get install nftables")
    ended = subprocess.run(
        ["unshare", "-Urn", sys.executable, str(SCENE)], capture_output=True, text=True, timeout=550, check=False
    )
    if ended.stderr.startswith("unshare:"):
        pytest.skip(f"this kernel gives no network namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_nothing_starts_before_it_is_switched_on(told):
    assert "chaos is switched off on this host" in told["refused"]


def test_slowness_degrades_the_probes_and_the_run_completes(told):
    assert "degraded" in told["while_slow"]
    assert told["slow"]["phase"] == "completed"
    [measure] = told["slow"]["measures"]
    assert measure["hurt"] == 3


def test_recovery_is_measured_within_a_probe_period_of_the_truth(told):
    [measure] = told["slow"]["measures"]
    # The service is well from the moment on at which the proxy lets pass: the truth is 0.
    assert 0 <= measure["recoverySeconds"] <= measure["errorSeconds"] + SLACK_S
    assert 0 <= measure["detectionSeconds"] <= measure["errorSeconds"] + SLACK_S


def test_a_loss_of_a_third_is_seen(told):
    assert told["lossy"]["phase"] in {"completed", "aborted"}, told["lossy"]["why"]
    assert sum(measure["hurt"] for measure in told["lossy"]["measures"]) > 0
    assert told["lossy"]["effect"]["touched"] > 0


def test_what_is_too_strong_is_ended_by_the_guardrail(told):
    assert told["too_strong"]["phase"] == "aborted"
    assert "the steady state is broken" in told["too_strong"]["why"]
    assert told["reachable_after_abort"]


def test_a_fault_dies_with_the_process_that_made_it(told):
    assert not told["reachable_while_active"]
    assert told["gone_after_kill_s"] <= 1.0 + SLACK_S  # a connection that is tried in vain takes its time


def test_the_next_start_tells_what_it_found_and_leaves_nothing(told):
    assert told["killed"]["phase"] == "orphan_reverted"
    assert told["objects"] == []


def test_a_halt_holds(told):
    assert "all chaos is halted" in told["halted"]
    assert "all chaos is halted: by local: the day is over" in told["after_halt"]


def test_the_audit_holds_over_all_of_it(told):
    assert told["audit"].startswith("intact")
    assert told["ended"] == 0
