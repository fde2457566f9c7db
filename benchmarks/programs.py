"""C programs of the benchmarks: built on first use, run by contenders, and the target server of the network scenarios."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NATIVE = Path(__file__).parent / "native"


def build() -> None:
    """Bring every program up to date; the runner calls this once, before anything is measured."""
    subprocess.run(["make", "--quiet", "--no-print-directory", "-C", str(NATIVE)], check=True)


def path(name: str) -> Path:
    return NATIVE / "build" / name


def run_json(name: str, *arguments: str) -> dict[str, Any]:
    """Run a program that prints one JSON object as its last line: how a contender wraps a peer written in C."""
    out = subprocess.run([str(path(name)), *arguments], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Children started inside run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cores() -> tuple[set[int], set[int]]:
    """One core for the contender and another for what it talks to; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, {usable[-1]}


class TargetServer:
    """native/target_server.c in a process of its own on these cores, at `port` or any that is free.

    `saw` holds its counters after the block.
    """

    def __init__(self, on: set[int], port: int = 0) -> None:
        self._on = on
        self._wanted_port = port
        self.saw: dict[str, int] = {}

    def __enter__(self) -> int:
        with pinned(self._on):
            self._process = subprocess.Popen(
                [str(path("target_server")), str(self._wanted_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())["port"]

    def __exit__(self, *_: object) -> None:
        out, _nothing = self._process.communicate()
        self.saw = json.loads(out)


def compiler() -> str:
    """The first line of the C compiler's version, for the record."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return "none"
    return subprocess.run([gcc, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
