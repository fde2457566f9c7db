"""The engine's thread beside its host's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio

import meshkit_fastprobe as fp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere niceness is of the whole process")

NICENESS = 16
"""Of the fields of /proc/PID/stat behind the name, as proc(5) counts them from 3: the 19th."""


def niceness_of_the_engine() -> int | None:
    """None before its thread has come to say its name."""
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == "fastprobe":
            return int((task / "stat").read_text().rpartition(")")[2].split()[NICENESS])
    return None


@pytest.mark.parametrize("nice", [0, 7])
async def test_the_engine_is_nicer_than_its_host_by_what_was_asked_for(nice: int) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    async with fp.Diagnostics(fp.Settings(host="test", nice=nice)):
        with trio.fail_after(30):
            while niceness_of_the_engine() != min(19, own + nice):
                await trio.sleep(0.01)
        assert os.getpriority(os.PRIO_PROCESS, 0) == own
