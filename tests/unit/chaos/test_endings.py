"""What a run came to is decided once, and what may have done harm is never told as if it had not."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.life import Life
from meshkit_fastprobe.chaos.reconciling import reconciled
from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.states import Phase

from .test_conducting import HARM, Odd, activated, conducting, ended, odd
from .test_halting import Disk


@pytest.fixture
def disk(monkeypatch):
    """Hangs for a minute from the moment on in which the fault is in force."""
    disk, verify = Disk(), Odd.verify

    async def verified(self, host, plan):
        disk.slow_s = 60.0
        return await verify(self, host, plan)

    monkeypatch.setattr(Odd, "verify", verified)
    return disk


@pytest.mark.parametrize("by", ["stop", "halt", "itself"])
async def test_a_disk_that_hangs_once_a_fault_is_in_force_holds_nobody_who_ends_it(mock_clock, disk, by):
    async with conducting(odd(duration_s=5.0), journal=disk) as (conductor, _):
        began = trio.current_time()
        assert (await activated(conductor)).phase is Phase.ACTIVE
        await trio.sleep(1)  # by now it is being written
        async with trio.open_nursery() as nursery:
            if by == "stop":
                assert (await conductor.stop("a", subject="user:bob")).stopped_by == "user:bob"
            elif by == "halt":
                nursery.start_soon(lambda: conductor.halt(subject="user:bob"))  # who asked waits until it is on the disk
                await trio.testing.wait_all_tasks_blocked()
            else:
                await trio.sleep(4.5)
            assert (HARM, conductor.current("a").reverted_at is not None) == (set(), True)
            assert trio.current_time() - began < 6


async def test_what_is_stopped_while_it_is_written_that_it_is_injected_is_not_injected(mock_clock):
    disk = Disk()
    async with conducting(odd(), journal=disk) as (conductor, around):
        prepared = await conductor.prepare("a", subject="user:anna")
        around.slow_s = 1.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: conductor.activate("a", prepared.token, subject="user:anna"))
            await trio.testing.wait_all_tasks_blocked()
            disk.slow_s = 60.0
            while conductor.current("a").phase is not Phase.INJECTING:
                await trio.sleep(0.1)
            await conductor.stop("a", subject="user:bob")
        assert ((await ended(conductor)).phase, conductor.current("a").injected_at) == (Phase.ABORTED, None)


@pytest.fixture
def half_done(monkeypatch):
    """A fault that is done at once, and takes five seconds to say so."""

    async def apply(_self, _host, plan):
        HARM.add(plan.mark)
        await trio.sleep(5)

    monkeypatch.setattr(Odd, "apply", apply)


async def test_what_was_ended_while_it_was_injected_counts_as_injected(mock_clock, half_done):
    async with conducting(odd(), cooldown_s=60.0) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: conductor.activate("a", prepared.token, subject="user:anna"))
            await trio.testing.wait_all_tasks_blocked()
            await conductor.stop("a", subject="user:bob")
        run = await ended(conductor)
        assert (run.phase, run.injected_at is not None, Phase.ACTIVE in {move.phase for move in run.moves}) == (
            Phase.ABORTED,
            True,
            False,
        )
        with pytest.raises(ChaosRefusedError, match="it rests for 60 s"):
            await conductor.prepare("a", subject="user:anna")


async def test_what_was_ended_while_it_was_injected_is_looked_at_and_waited_for(mock_clock, half_done, monkeypatch):
    waited = []

    async def well(life):
        waited.append(life.run.id)
        return True

    monkeypatch.setattr(Life, "_recover", well)
    async with conducting(odd()) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: conductor.activate("a", prepared.token, subject="user:anna"))
            await trio.testing.wait_all_tasks_blocked()
            await conductor.stop("a", subject="user:bob")
        run = await ended(conductor)
    assert (waited, run.phase, run.why, run.effect.told) == (["a-1"], Phase.ABORTED, "stopped by user:bob", "in force")


async def test_once_it_is_in_force_it_is_told_since_when(mock_clock, monkeypatch, half_done):
    now_s = iter(range(1000, 2000))
    monkeypatch.setattr("time.time", lambda: float(next(now_s)))
    async with conducting(odd()) as (conductor, _):
        run = await activated(conductor)
        moved_at = {move.phase: move.at for move in run.moves}
        assert moved_at[Phase.INJECTING] + 1 < run.injected_at == moved_at[Phase.ACTIVE] - 1


async def test_of_a_process_that_died_half_way_it_is_told_that_it_may_have_been_injected(mock_clock, half_done, tmp_path):
    async with conducting(odd()) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: conductor.activate("a", prepared.token, subject="user:anna"))
            await trio.testing.wait_all_tasks_blocked()
            on_disk = await read_back(conductor.journal, "a-1")
            assert (on_disk.phase, on_disk.injected_at) == (Phase.INJECTING, None)
            run = await reconciled(on_disk, conductor.faults, conductor.bench)
            assert (run.phase, run.injected_at) == (Phase.ORPHAN_REVERTED, on_disk.moves[-1].at)
            await conductor.stop("a", subject="user:bob")


async def read_back(journal, run_id):
    [(body,)] = await journal._ask("SELECT body FROM run WHERE id = ?", (run_id,))
    return msgspec.json.decode(body, type=Run)


@pytest.fixture
def slow_to_be_well(monkeypatch):
    async def well(_life):
        await trio.sleep(10)
        return True

    monkeypatch.setattr(Life, "_recover", well)


@pytest.mark.parametrize("by", ["stop", "halt"])
async def test_what_ended_by_itself_is_not_told_as_stopped(mock_clock, slow_to_be_well, by):
    async with conducting(odd(duration_s=5.0)) as (conductor, _):
        await activated(conductor)
        await trio.sleep(6)
        assert conductor.current("a").phase is Phase.RECOVERING
        await (conductor.stop("a", subject="user:bob") if by == "stop" else conductor.halt(subject="user:bob"))
        run = await ended(conductor)
        assert (run.phase, run.why, run.stopped_by) == (Phase.COMPLETED, "its time was over", None)


async def test_a_stop_while_it_is_undone_waits_and_changes_nothing(mock_clock, monkeypatch):
    undo = Odd.revert.__func__

    async def revert(cls, host, plan):
        await trio.sleep(5)
        await undo(cls, host, plan)

    monkeypatch.setattr(Odd, "revert", classmethod(revert))
    async with conducting(odd(duration_s=5.0)) as (conductor, _):
        await activated(conductor)
        await trio.sleep(6)
        assert (conductor.current("a").phase, HARM) == (Phase.REVERTING, {"a"})
        await conductor.stop("a", subject="user:bob")
        assert not HARM
        assert ((await ended(conductor)).phase, conductor.current("a").stopped_by) == (Phase.COMPLETED, None)


async def test_a_halt_says_nothing_of_what_was_over(mock_clock):
    async with conducting(odd(), odd("b", duration_s=1.0)) as (conductor, _):
        await conductor.prepare("a", subject="user:anna")
        await conductor.stop("a", subject="user:carl")
        await activated(conductor, "b")
        before = (conductor.current("a"), await ended(conductor, "b"))
        assert [run.phase for run in before] == [Phase.CANCELLED, Phase.COMPLETED]
        assert await conductor.halt(subject="user:bob") == []
        assert (conductor.current("a"), conductor.current("b")) == before
