"""A peer that is a program of its own: found or told as missing, run, its CPU read from /proc, ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SBIN = "/usr/sbin:/sbin"
"""Where Debian keeps daemons, and a plain user's PATH does not look."""


class MissingProgramError(Exception):
    """The program is not installed; the message says how to install it."""


def find(program: str, package: str | None = None) -> str:
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")
    if path is None:
        raise MissingProgramError(f"needs {program}: apt-get install {package or program}")
    return path


def cpu_s(pid: int) -> float:
    """User and system time of all threads; in steps of a clock tick, 10 ms, so measure for seconds."""
    # The second field is the program's name in parentheses and may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def connections_opened() -> int:
    """Active opens of this network namespace since it began: the kernel's own count of connects."""
    return _counted("Tcp:", "ActiveOpens")


def echo_replies() -> int:
    """ICMP echo replies that this network namespace has received, likewise."""
    return _counted("Icmp:", "InEchoReps")


def _counted(protocol: str, name: str) -> int:
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text(encoding="ascii").splitlines() if line.startswith(protocol)
    )
    return int(values[names.index(name)])


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The program while the block runs; it must not end on its own before."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(0.2)
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(
                f"{command[0]} ended with {process.returncode}: {process.stderr.read().decode(errors='replace')}"
            )
        yield process
    finally:
        process.terminate()
        process.communicate()
