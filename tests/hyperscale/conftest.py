"""Scale on real sockets. Bounded, to be part of every run; FASTPROBE_HYPERSCALE=long takes the time that the claims name.

A short run proves the mechanism with bounds that a loaded machine keeps; a long one holds the product to its figures. Either
way what was measured is printed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import trio

from benchmarks import programs

LONG = os.environ.get("FASTPROBE_HYPERSCALE") == "long"

_figures: list[str] = []


def tell(line: str) -> None:
    """A line of the report at the end of the test run."""
    _figures.append(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("hyperscale")
        for line in _figures:
            terminalreporter.write_line(line)


class Held:
    """How long the event loop kept a task waiting that asked for a millisecond."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        while True:
            began = trio.current_time()
            await trio.sleep(0.001)
            self.longest_s = max(self.longest_s, trio.current_time() - began - 0.001)


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """A server in a process of its own, on every address of 127.0.0.0/8."""
    programs.build()
    with programs.TargetServer(programs.cores()[1]) as port:
        yield port


def addresses(n: int, port: int) -> Iterator[str]:
    """Distinct targets, all of this machine."""
    return (f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}:{port}" for i in range(n))
