"""What this host's own firewall keeps in is no failure of the target, whichever lane asks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integration.chaos.namespace import scene

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="nftables is Linux's")]

ROOT = Path(__file__).parents[3]


def test_a_datagram_that_is_not_let_out_skips_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the scene, which shares what scenes of chaos have
    told = scene(str(Path(__file__).with_name("firewall_scenes.py")), "nothing_goes_out", "127.0.0.1:9", "[::1]:9")
    assert told == [["NATIVE", "skipped: permission"]] * 4 + [["TASK", "skipped: permission"]] * 4
