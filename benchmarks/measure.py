"""What contenders measure with: CPU of the whole process (all threads), wall time, resident memory."""

from __future__ import annotations

import gc
import math
import os
import resource
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PAGE_BYTES = os.sysconf("SC_PAGESIZE")


class Meter:
    """`with Meter() as meter:` or start() and stop() around the part that counts."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.user_s = 0.0
        self.wall_s = 0.0
        self._before = (0.0, 0.0, 0.0)

    def start(self) -> None:
        self._before = self._now()

    def stop(self) -> None:
        user_s, system_s, wall_s = (now - then for now, then in zip(self._now(), self._before, strict=True))
        self.cpu_s, self.user_s, self.wall_s = user_s + system_s, user_s, wall_s

    @staticmethod
    def _now() -> tuple[float, float, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime, used.ru_stime, time.perf_counter()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def rss_bytes() -> int:
    """Resident memory now, after a collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def peak_rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def descriptors() -> int:
    """Open ones of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def starved_share() -> float:
    """Of the time that the engine's thread wanted to run: the part that it waited for a processor.

    On a busy machine runs are late for that reason, and say nothing of the engine.
    """
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text(encoding="ascii").strip() == "fastprobe":
            ran_ns, waited_ns, _ = map(int, (task / "schedstat").read_text(encoding="ascii").split())
            return waited_ns / max(1, ran_ns + waited_ns)
    raise AssertionError("no engine thread runs")


def time_waits(port: int) -> int:
    """Connections to or from this port that the kernel remembers as closed: each holds an ephemeral port for a minute."""
    time_wait, hexadecimal = "06", f":{port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(fields[3] == time_wait and hexadecimal in {fields[1][-5:], fields[2][-5:]} for fields in lines)
