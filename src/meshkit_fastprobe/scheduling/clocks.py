"""Which clock the runtime lives by: the host's, or trio's own when the engine is stepped inline."""

from __future__ import annotations

import time

import trio

from meshkit_fastprobe._native import clock


class HostClocks:
    """BOOTTIME for schedules, MONOTONIC for latencies."""

    schedule_ns = staticmethod(clock.schedule_ns)
    latency_ns = staticmethod(clock.latency_ns)

    @staticmethod
    def wall_s(schedule_ns: int) -> float:
        """The wall-clock time of a moment on the scheduling clock, by today's difference between the two."""
        return time.time() - (clock.schedule_ns() - schedule_ns) / 1e9

    def now(self) -> tuple[int, float]:
        """The same moment on the scheduling and the wall clock."""
        now_ns = self.schedule_ns()
        return now_ns, self.wall_s(now_ns)


class TrioClocks:
    """Both clocks are trio's, so a test's virtual clock moves everything. Zero while no trio runs."""

    def __init__(self) -> None:
        self._wall_at_zero_s = time.time()

    def schedule_ns(self) -> int:
        try:
            return int(trio.current_time() * 1e9)
        except RuntimeError:  # registration before trio runs: the clock has not started
            return 0

    latency_ns = schedule_ns

    def wall_s(self, schedule_ns: int) -> float:
        return self._wall_at_zero_s + schedule_ns / 1e9

    def now(self) -> tuple[int, float]:
        now_ns = self.schedule_ns()
        return now_ns, self.wall_s(now_ns)
