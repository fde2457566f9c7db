"""The standard library's heapq; a cancelled or re-armed timer's old entry stays until it comes to the top."""

from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

from benchmarks.shared import timers


class Heapq(timers.Timers):
    def __init__(self, count: int) -> None:
        self._heap: list[tuple[int, int]] = []
        self._due: list[int | None] = [None] * count
        self._interval = [0] * count
        self._dead = 0

    def arm(self, timer: int, due_ms: int, interval_ms: int) -> None:
        self._due[timer] = due_ms
        self._interval[timer] = interval_ms
        heappush(self._heap, (due_ms, timer))

    def cancel(self, timer: int) -> None:
        self._due[timer] = None
        self._dead += 1
        if self._dead > len(self._heap) // 2 + 4096:
            self._heap = [(due_ms, timer) for due_ms, timer in self._heap if self._due[timer] == due_ms]
            heapify(self._heap)
            self._dead = 0

    def expire(self, now_ms: int) -> int:
        heap, due, interval = self._heap, self._due, self._interval
        fired = 0
        while heap and heap[0][0] <= now_ms:
            due_ms, timer = heap[0]
            if due[timer] != due_ms:
                heappop(heap)
                continue
            fired += 1
            if interval[timer]:
                due[timer] = due_ms = due_ms + interval[timer]
                heapreplace(heap, (due_ms, timer))
            else:
                due[timer] = None
                heappop(heap)
        return fired


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return timers.measure(Heapq, workload)
