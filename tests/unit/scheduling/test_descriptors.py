from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from meshkit_fastprobe.scheduling.descriptors import budget
found = budget({wanted})
print(found.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0], found.short)
"""


def run(soft: int, hard: int, wanted: int) -> tuple[int, int, bool]:
    script = SCRIPT.format(soft=soft, hard=hard, wanted=wanted)
    words = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    return int(words[0]), int(words[1]), words[2] == "True"


@pytest.mark.parametrize("wanted", [100, 2000])
def test_the_soft_limit_is_raised_as_far_as_needed(wanted):
    connections, soft, short = run(256, 8192, wanted)
    assert connections == wanted
    assert wanted < soft < wanted + 512
    assert not short


def test_a_hard_limit_bounds_the_connections_and_says_so():
    connections, soft, short = run(256, 1024, 4096)
    assert soft == 1024
    assert 512 < connections < 1024 - 128 - 64
    assert short


def test_the_budget_tells_of_the_ports_where_the_host_does():
    script = "from meshkit_fastprobe.scheduling.descriptors import budget; print(budget(8).ports, budget(8))"
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    ports, text = told.split(" ", 1)
    assert ports == "None" or f"{int(ports)} ephemeral ports" in text
