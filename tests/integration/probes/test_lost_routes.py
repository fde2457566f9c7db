"""An interface or a source address goes and comes back: no target is blamed for it, and nothing is asked by another way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not shutil.which("unshare") or not shutil.which("ip"), reason="needs unshare and ip: apt-get install iproute2"
    ),
]

SCENE = Path(__file__).parent / "lost_routes_scene.py"


@pytest.mark.parametrize("lane", ["native", "task"])
def test_what_is_bound_to_an_interface_or_a_source_follows_it(lane: str) -> None:
    command = ["unshare", "-Urn", sys.executable, str(SCENE), lane]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if ended.stderr.startswith("unshare:"):
        pytest.skip(f"this kernel gives no network namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr

    def come_and_gone(there: str) -> list[str]:
        return [there] * 3 + ["source"] * 2 + [there] * 2

    assert json.loads(ended.stdout) == {
        "udp": come_and_gone("response_timeout"),
        "tcp": come_and_gone("connect_timeout"),
        "icmp": come_and_gone("icmp_timeout"),
        "tcp-source": come_and_gone("none"),
        "udp-source": come_and_gone("none"),
    }
