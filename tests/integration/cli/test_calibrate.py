"""`fastprobe calibrate`: outages that the kernel times, and what real probes say of them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.once]

COMMAND = [sys.executable, "-m", "meshkit_fastprobe", "calibrate", "--rounds", "2", "--probes", "5"]


@pytest.mark.parametrize("asked", ["--namespace", "--no-namespace"])
def test_probes_are_late_by_their_period_at_most_and_never_early(asked):
    ended = subprocess.run([*COMMAND, asked, "-o", "json"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    if asked == "--namespace" and told["by"] != "nftables":
        pytest.skip(told["why"])
    assert told["boundSeconds"] == told["asked"]["intervalSeconds"] == 0.2
    for which in ("detection", "recovery"):
        of_probes = told[which]["ofProbes"]
        assert of_probes["samples"] == 10
        assert of_probes["minSeconds"] >= -told["unsureSeconds"]
        # A loaded machine sends a run late: what is asked for is a half of the period, what is a mistake is several.
        assert of_probes["meanSeconds"] <= 3 * told["boundSeconds"]
        assert told[which]["ofExperiments"]["samples"] == 2


def test_a_table_tells_each_figure_with_its_error():
    ended = subprocess.run([*COMMAND, "--no-namespace"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert " +- " in ended.stdout
    assert "recovery, a group" in ended.stdout
    assert "2 outages of 1000.0 ms, timed by listening (as asked)" in ended.stdout


def test_a_duration_that_is_none_is_refused():
    ended = subprocess.run([*COMMAND, "--interval", "5 parsecs"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
