"""Whatever happens at whatever step of an experiment: the fault is gone within its lease, and the next start knows what was.

Thirteen troubles (SIGKILL, SIGSTOP, a backend that raises, a full disk, EIO, a clock that jumps either way, the fault taken
away by somebody else, the target or its network namespace gone, halt, switched off, role taken back) at each of six steps, on
real processes with real nftables. docs/internals/crash-matrix.md shows a run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from meshkit_fastprobe.chaos.faults.base import LEASE_S
from meshkit_fastprobe.chaos.states import FINAL

pytestmark = [pytest.mark.feature, pytest.mark.once, pytest.mark.slow, pytest.mark.timeout(1800)]

SCENES = Path(__file__).parent / "crash_scenes.py"


@pytest.fixture(scope="module")
def told():
    for program, package in (("nft", "nftables"), ("ip", "iproute2"), ("cc", "gcc")):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt-get install {package}")
    ended = subprocess.run(
        ["unshare", "-Urnm", sys.executable, str(SCENES)], capture_output=True, text=True, timeout=1700, check=False
    )
    if ended.stderr.startswith("unshare:"):
        pytest.skip(f"this kernel gives no network namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_every_trouble_happened_at_every_step(told):
    assert len(told["results"]) == 6 * 13
    assert [case for case in told["results"] if not case["reached"]] == []


def test_no_fault_outlives_its_lease(told):
    slowest = defaultdict(float)
    for case in told["results"]:
        slowest[case["event"]] = max(slowest[case["event"]], case["gone_s"])
    print({event: round(seconds, 3) for event, seconds in sorted(slowest.items())})
    # A second for the machine: what is asked of SIGSTOP.
    assert max(slowest.values()) <= LEASE_S + 1.0


def test_the_next_start_leaves_no_run_unfinished_and_nothing_stuck(told):
    for case in told["results"]:
        assert set(case["after"].values()) <= {str(phase) for phase in FINAL}, case


def test_nothing_with_our_mark_is_left_in_the_kernel(told):
    assert [case for case in told["results"] if case["objects"]] == []
    assert told["tables"].strip() == ""


def test_the_audit_holds_throughout(told):
    assert {case["audit"] for case in told["results"]} == {"intact"}
