"""Who takes the runs that a batch of due notices asks for, and what becomes of them when the runtime stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from meshkit_fastprobe import Lane, ProbeOptions, Reason, Settings
from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe.probes.callable import from_callable
from meshkit_fastprobe.probes.catalog import Groups, Registration
from meshkit_fastprobe.scheduling.clocks import HostClocks
from meshkit_fastprobe.scheduling.lanes.task import FIRST_SHARE, TaskLane
from meshkit_fastprobe.scheduling.sharing import Sharing


def alone() -> Sharing:
    return Sharing(Settings(host="test"), Groups())


class Engine:
    """Remembers what a lane asks of it."""

    def __init__(self) -> None:
        self.finished: list[int] = []

    def finish(self, slot: int, generation: int) -> None:
        self.finished.append(slot)

    def deadline(self, slot: int, generation: int, due_ns: int) -> None:
        raise AssertionError("nothing here takes so long that it has a deadline")


@asynccontextmanager
async def lane_of(check: Callable[[], Awaitable[None]], max_runs: int) -> AsyncIterator[tuple[TaskLane, Callable[[int], None]]]:
    """An open lane, and what queues a batch of this many runs of one callable."""
    lane = TaskLane(Engine(), HostClocks(), RecordBatch(256), lambda: None, alone(), max_runs=max_runs)

    def ask(n: int) -> None:
        for slot in range(n):
            lane.due(Registration(f"probe-{slot}", from_callable(check), ProbeOptions(), Lane.TASK, slot, 1, 0), 1)
        lane.dispatch()

    async with trio.open_nursery() as nursery:
        lane.open(nursery)
        yield lane, ask
        nursery.cancel_scope.cancel()
    lane.close()


async def test_callables_that_block_all_run_at_once_though_a_batch_wakes_only_some_workers():
    begun = 0

    async def check() -> None:
        nonlocal begun
        begun += 1
        await trio.sleep_forever()

    async with lane_of(check, max_runs=64) as (lane, ask):
        ask(60)
        with trio.fail_after(30):
            while begun < 60:
                await trio.lowlevel.checkpoint()
        assert lane.in_flight == 60


async def test_callables_that_do_not_block_share_few_workers():
    workers = set()

    async def check() -> None:
        workers.add(trio.lowlevel.current_task())
        await trio.lowlevel.checkpoint()

    async with lane_of(check, max_runs=64) as (_, ask):
        for _ in range(5):
            ask(40)
            await trio.testing.wait_all_tasks_blocked()
    assert len(workers) == 40 // FIRST_SHARE


async def test_a_notice_that_comes_after_the_workers_are_gone_is_skipped_and_starts_nothing():
    async def check() -> None:
        raise AssertionError("begun after the end")

    engine, batch = Engine(), RecordBatch(8)
    lane = TaskLane(engine, HostClocks(), batch, lambda: None, alone(), max_runs=4)
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
