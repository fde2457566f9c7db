"""Scale on real sockets. Bounded, to be part of every run; FASTPROBE_HYPERSCALE=long takes the time that the claims name.

A short run proves the mechanism with bounds that a loaded machine keeps; a long one holds the product to its figures. Either
way what was measured is printed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """A server in a process of its own, on every address of 127.0.0.0/8."""
    programs.build()
    with programs.TargetServer() as port:
        yield port


def addresses(n: int, port: int) -> Iterator[str]:
    """Distinct targets, all of this machine."""
    return (f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}:{port}" for i in range(n))


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def starved_share() -> float:
    """Of the time that the engine's thread wanted to run: the part that it waited for a processor.

    On a busy machine runs are late for that reason, and say nothing of the engine.
    """
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == "fastprobe":
            ran_ns, waited_ns, _ = map(int, (task / "schedstat").read_text().split())
            return waited_ns / max(1, ran_ns + waited_ns)
    raise AssertionError("no engine thread runs")


def time_waits(port: int) -> int:
    """Connections to or from this port that the kernel remembers as closed: each holds an ephemeral port for a minute."""
    time_wait, hexadecimal = "06", f":{port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(fields[3] == time_wait and hexadecimal in {fields[1][-5:], fields[2][-5:]} for fields in lines)
