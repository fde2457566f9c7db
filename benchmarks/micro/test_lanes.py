"""What a Python lane pays at the C boundary for each run, and a host for an idle injection point."""

from __future__ import annotations

from meshkit_fastprobe._native import clock
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.model import Reason, Result


def test_append_one_record(benchmark):
    batch = RecordBatch(1024)

    def append():
        if batch.size == batch.capacity:
            batch.clear()
        return batch.append(3, 1, 1_000, 2_000, 0, 0, Result.OK, Reason.NONE)

    assert benchmark(append)


def test_read_the_scheduling_clock(benchmark):
    assert benchmark(clock.schedule_ns) > 0


def test_pass_through_an_idle_injection_point(benchmark):
    benchmark(InjectionPoint("orders.call").pass_through_sync)
