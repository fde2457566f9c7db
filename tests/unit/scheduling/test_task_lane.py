"""Who takes the runs that a batch of due notices asks for, and what becomes of them when the runtime stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from meshkit_fastprobe import Lane, Outcome, Phases, ProbeOptions, Reason, Result, Settings
from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe.probes.callable import from_callable
from meshkit_fastprobe.probes.catalog import Groups, Registration
from meshkit_fastprobe.scheduling.clocks import HostClocks
from meshkit_fastprobe.scheduling.lanes.task import FIRST_SHARE, TaskLane
from meshkit_fastprobe.scheduling.lanes.thread import ThreadLane
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
    lane = TaskLane(Engine(), HostClocks(), RecordBatch(256), Failures(8, 8), lambda: None, alone(), max_runs=max_runs)

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
    lane = TaskLane(engine, HostClocks(), batch, Failures(8, 8), lambda: None, alone(), max_runs=4)
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


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Result.FAIL, detail=10**20),
        Outcome(Result.FAIL, detail=-(10**20)),
        Outcome(Result.FAIL, latency_s=float("nan")),
        Outcome(Result.FAIL, latency_s=float("-inf")),
        Outcome(Result.FAIL, latency_s=1e300),
        Outcome(Result.FAIL, phases=Phases(connect_s=-1.0, tls_s=float("nan"), first_byte_s=float("inf"))),
    ],
)
async def test_numbers_that_no_record_has_room_for_end_a_run_like_any_other(outcome: Outcome):
    async def check() -> Outcome:
        await trio.lowlevel.checkpoint()
        return outcome

    engine, batch = Engine(), RecordBatch(8)
    lane = TaskLane(engine, HostClocks(), batch, Failures(8, 8), lambda: None, alone(), max_runs=4)
    async with trio.open_nursery() as nursery:
        lane.open(nursery)
        lane.due(Registration("probe", from_callable(check), ProbeOptions(), Lane.TASK, 3, 1, 0), 1)
        lane.dispatch()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    lane.close()
    [record] = batch.array[: batch.size]
    assert record["result"] == Result.FAIL
    assert record["latency_ns"] < 60e9
    assert engine.finished == [3]


async def test_a_seen_that_means_something_else_to_its_kind_is_let_be():
    class Target:
        timed_out = Outcome(Result.TIMEOUT)
        seen = 7

        async def check(self) -> Outcome:
            await trio.lowlevel.checkpoint()
            return Outcome.fail("no")

        def close(self) -> None: ...

    engine, batch = Engine(), RecordBatch(8)
    lane = TaskLane(engine, HostClocks(), batch, Failures(8, 8), lambda: None, alone(), max_runs=4)
    registration = Registration("probe", from_callable(Target().check), ProbeOptions(), Lane.TASK, 3, 1, 0)
    async with trio.open_nursery() as nursery:
        lane.open(nursery)
        lane.point(registration, Target())
        lane.explain(3)
        lane.due(registration, 1)
        lane.dispatch()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    lane.close()
    assert engine.finished == [3]
    assert lane.explained(3)[1] is None


@pytest.mark.parametrize("lane_type", [TaskLane, ThreadLane])
@pytest.mark.parametrize(
    "fields",
    [
        {"reason": "timeout"},
        {"message": ValueError("no")},
        {"reason": 250},
        {"result": 300},
        {"result": layout.EVENT_DUE},
        {"result": Result.FAIL | layout.PASSIVE},
        {"phases": Phases(connect_s="0.1")},
    ],
    ids=str,
)
async def test_an_outcome_that_no_record_can_hold_is_an_error_of_its_probe_alone(lane_type, fields):
    odd = Outcome(**{"result": Result.FAIL, **fields})

    async def check_on_trio() -> Outcome:
        await trio.lowlevel.checkpoint()
        return odd

    check = check_on_trio if lane_type is TaskLane else lambda: odd
    engine, batch = Engine(), RecordBatch(8)
    lane = lane_type(engine, HostClocks(), batch, Failures(8, 8), lambda: None, alone(), max_runs=4)
    registration = Registration("probe", from_callable(check), ProbeOptions(), lane_type.lane, 3, 1, 0)
    async with trio.open_nursery() as nursery:
        lane.open(nursery)
        lane.due(registration, 1)
        lane.dispatch()
        with trio.fail_after(30):
            while not engine.finished:
                await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    lane.close()
    [record] = batch.array[: batch.size]
    assert record["result"] == Result.ERROR
    assert registration.message == "returned an Outcome with a field of the wrong type or size"


@pytest.mark.parametrize("lane_type", [TaskLane, ThreadLane])
async def test_however_many_wait_when_the_runtime_stops_each_is_skipped(lane_type):
    """Thousands are left behind when the embedder has held the event loop: one is skipped after the other, not within it."""
    runs = 5000
    batch = RecordBatch(runs)
    lane = lane_type(Engine(), HostClocks(), batch, Failures(8, 8), lambda: None, alone(), max_runs=4)
    async with trio.open_nursery() as nursery:
        lane.open(nursery)
        nursery.cancel_scope.cancel()
    lane.close()
    for slot in range(runs):
        lane.due(Registration(f"probe-{slot}", from_callable(lambda: None), ProbeOptions(), lane_type.lane, slot, 1, 0), 1)
    lane.dispatch()
    told = batch.array[: batch.size]
    assert sorted(told["slot"].tolist()) == list(range(runs))
    assert set(told["reason"].tolist()) == {Reason.SHUTTING_DOWN}
