"""`fastprobe bench` on the targets that it starts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


def test_each_kind_is_measured_and_told_in_numbers():
    command = [sys.executable, "-m", "meshkit_fastprobe", "bench", "--seconds", "1", "--rate", "100", "-o", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert set(told) == {"schemaVersion", "version", "python", "system", "cores", "load1m", "kinds"}
    assert [one["kind"] for one in told["kinds"]] == ["tcp", "http", "dns"]
    for one in told["kinds"]:
        assert set(one) == {
            "kind",
            "wantedPerSecond",
            "checksPerSecond",
            "failed",
            "skipped",
            "cpuMicrosecondsPerCheck",
            "checksPerSecondPerCore",
            "probesPerCoreAt10s",
            "lagP99Milliseconds",
        }
        assert one["wantedPerSecond"] == 100
        assert one["checksPerSecond"] > 0
        assert one["cpuMicrosecondsPerCheck"] > 0


def test_a_form_that_it_has_not_is_refused():
    command = [sys.executable, "-m", "meshkit_fastprobe", "bench", "-o", "name"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "bench cannot print name" in ended.stderr
