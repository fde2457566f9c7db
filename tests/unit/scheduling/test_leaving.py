"""What the engine has asked for and nobody has begun when the runtime stops."""

from __future__ import annotations

import trio

from meshkit_fastprobe import Lane, ProbeOptions, Reason
from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe.probes.callable import from_callable
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.scheduling.clocks import HostClocks
from meshkit_fastprobe.scheduling.lanes.task import TaskLane


class Engine:
    """Remembers what a lane asks of it."""

    def __init__(self) -> None:
        self.finished: list[int] = []

    def finish(self, slot: int, generation: int) -> None:
        self.finished.append(slot)

    def deadline(self, slot: int, generation: int, due_ns: int) -> None:
        raise AssertionError("nothing runs, so nothing has a deadline")


async def test_a_notice_that_comes_after_the_workers_are_gone_is_skipped_and_starts_nothing():
    async def check() -> None:
        raise AssertionError("begun after the end")

    engine, batch = Engine(), RecordBatch(8)
    lane = TaskLane(engine, HostClocks(), batch, lambda: None, max_runs=4)
    registration = Registration("probe", from_callable(check), ProbeOptions(), Lane.TASK, 3, 1, 0)
    async with trio.open_nursery() as nursery:
        lane.open(nursery)
        nursery.cancel_scope.cancel()
    lane.close()
    lane.due(registration, 1)
    lane.dispatch()
    [record] = batch.array[: batch.size]
    assert (record["slot"], record["result"], record["reason"]) == (3, layout.EVENT_SKIPPED, Reason.SHUTTING_DOWN)
    assert engine.finished == [3]
