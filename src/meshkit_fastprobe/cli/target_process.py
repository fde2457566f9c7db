"""Real loopback targets in a process of their own, for as long as this one lives: it goes when its stdin closes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from meshkit_fastprobe.cli.exits import CliError

START_TIMEOUT_S: Final = 10.0


@contextmanager
def targets_running(wanted: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """What was wanted, with the ports that it got."""
    process = subprocess.Popen(
        [sys.executable, "-m", "meshkit_fastprobe.testing.targets"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(wanted) + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise CliError("the targets did not start", "run: python -m meshkit_fastprobe.testing.targets, to see why")
        yield msgspec.json.decode(line, type=list[dict[str, Any]])
    finally:
        process.stdin.close()
        try:
            process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
