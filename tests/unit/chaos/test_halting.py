"""A halt is in force at once and over restarts, whoever asked for it; only who could know of it takes it back."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.halting import Halt
from meshkit_fastprobe.chaos.journal import Journal, JournalError
from meshkit_fastprobe.chaos.refused import ChaosRefusedError

from .test_conducting import HARM, Odd, activated, conducting, odd


class Disk(Journal):
    """One that takes so long, or refuses."""

    def __init__(self, directory=None):
        super().__init__(directory, self.in_its_time)
        self.slow_s, self.refuses = 0.0, False

    async def in_its_time(self, call):
        await trio.sleep(self.slow_s)
        return call()

    def _commit(self, runs, facts):
        if self.refuses:
            raise JournalError("the disk is full")
        super()._commit(runs, facts)


@asynccontextmanager
async def opened():
    journal = Disk()
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


def on_disk(disk):
    return disk._select("SELECT body FROM fact WHERE name = 'halted'", ())


async def refused(verb, told):
    with pytest.raises(ChaosRefusedError, match=told):
        await verb


@pytest.mark.parametrize("slow", ["audit", "disk"])
@pytest.mark.parametrize("again_by", ["user:bob", "user:carl"])
async def test_who_halts_while_somebody_resumes_is_not_overheard(mock_clock, slow, again_by):
    disk = Disk()
    async with conducting(odd(), journal=disk) as (conductor, around):
        await conductor.halt(subject="user:bob")
        around.slow_s = 1.0 if slow == "audit" else 0.0
        disk.slow_s = 1.0 if slow == "disk" else 0.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, conductor.resume(subject="user:anna", reason="well"), f"halted again.*{again_by}")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(lambda: conductor.halt(subject=again_by))
        assert (conductor.halted, await disk.fact("halted")) == (f"by {again_by}", f"by {again_by}")
        assert on_disk(disk) == [(f'"by {again_by}"'.encode(),)]
        with pytest.raises(ChaosRefusedError, match="all chaos is halted"):
            await conductor.prepare("a", subject="user:anna")
        told = [(entry.action, entry.result, entry.actor) for entry in around.entries]
        assert ("chaos.resume", "refused", "user:anna") in told
        await conductor.resume(subject="user:anna", reason="well at last")
        assert (conductor.halted, on_disk(disk)) == (None, [])


async def test_a_resume_that_the_disk_refused_is_not_done_later(mock_clock):
    disk = Disk()
    async with conducting(odd(), journal=disk) as (conductor, _):
        await conductor.halt(subject="user:bob")
        disk.refuses = True
        await refused(conductor.resume(subject="user:anna", reason="well"), "the disk is full")
        disk.refuses = False
        await trio.sleep(5)
        assert (conductor.halted, on_disk(disk)) == ("by user:bob", [(b'"by user:bob"',)])


async def test_of_two_who_resume_at_once_both_are_answered(mock_clock):
    async with conducting(odd()) as (conductor, around):
        await conductor.halt(subject="user:bob")
        around.slow_s = 1.0
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(lambda: conductor.resume(subject="user:anna", reason="well"))
        assert conductor.halted is None


async def test_a_halt_is_on_the_disk_while_it_still_undoes(mock_clock, monkeypatch, tmp_path):
    async def revert(_cls, _host, _plan):
        await trio.sleep_forever()

    disk = Disk(tmp_path)
    async with conducting(odd(duration_s=600.0), journal=disk) as (conductor, _):
        await activated(conductor)
        monkeypatch.setattr(Odd, "revert", classmethod(revert))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: conductor.halt(subject="user:bob"))
            await trio.testing.wait_all_tasks_blocked()
            assert (HARM, on_disk(disk)) == ({"a"}, [(b'"by user:bob"',)])


async def test_a_halt_whose_caller_is_gone_holds_over_restarts(mock_clock, monkeypatch, tmp_path):
    undo = Odd.revert.__func__

    async def revert(cls, host, plan):
        await trio.sleep(5)
        await undo(cls, host, plan)

    async with conducting(odd(duration_s=600.0), journal=Disk(tmp_path)) as (conductor, _):
        await activated(conductor)
        monkeypatch.setattr(Odd, "revert", classmethod(revert))
        with trio.CancelScope() as caller:
            caller.cancel()
            await conductor.halt(subject="user:bob")
        assert caller.cancelled_caught
        await trio.sleep(10)
        assert not HARM
    async with conducting(odd(), journal=Disk(tmp_path)) as (conductor, _):
        assert conductor.halted == "by user:bob"


async def test_a_disk_that_hangs_holds_no_halt_that_undoes(mock_clock):
    disk = Disk()
    async with conducting(odd(duration_s=600.0), journal=disk) as (conductor, _):
        await activated(conductor)
        disk.slow_s = 60.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: conductor.halt(subject="user:bob"))
            await trio.testing.wait_all_tasks_blocked()
            assert not HARM


async def test_what_was_halted_before_the_start_stays_halted():
    async with trio.open_nursery() as nursery, conducting(odd()) as (conductor, around):
        pass
    await conductor.halt(subject="user:bob")
    async with trio.open_nursery() as nursery:
        await nursery.start(conductor.run, around)
        assert conductor.halted == "by user:bob"
        nursery.cancel_scope.cancel()


async def test_a_halt_is_meant_before_anybody_waits_for_it():
    halt = Halt()
    async with opened() as journal:
        halt.begin(journal, "by user:bob")
        await journal.catch_up()
        assert on_disk(journal) == [(b'"by user:bob"',)]


async def test_a_journal_tells_a_fact_that_is_not_written_yet():
    async with opened() as journal:
        await journal.keep("halted", "by user:bob")
        journal.mean("halted", None)
        assert await journal.fact("halted") is None
