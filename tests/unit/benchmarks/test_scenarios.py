"""Scenarios are data that nobody looks at between two releases: they must name what exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import scenario

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", scenario.names())
def test_a_scenario_names_contenders_that_exist(name: str):
    described = scenario.load(name)
    missing = [each for each in described.contenders if not (ROOT / "benchmarks" / "contenders" / f"{each}.py").exists()]
    assert missing == []


def test_every_contender_takes_part_somewhere():
    files = {path.stem for path in (ROOT / "benchmarks" / "contenders").glob("*.py")} - {"__init__"}
    assert files - {each for name in scenario.names() for each in scenario.load(name).contenders} == set()


def test_micro_benchmarks_still_run():
    """Once each, without timing."""
    command = [sys.executable, "-m", "pytest", "-q", "--benchmark-disable", "-p", "no:cacheprovider", "benchmarks/micro"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
