"""Whatever a fault does (raise, hang, lie, end by itself), and whoever ends it when: nothing is in force afterwards."""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.bench import Bench
from meshkit_fastprobe.chaos.conductor import Conductor
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultError, FaultPlan
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry
from meshkit_fastprobe.chaos.journal import Journal, JournalError
from meshkit_fastprobe.chaos.life import Life
from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.chaos.states import FINAL, Phase
from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.experiments import Blackout, ChaosSettings, Experiment
from meshkit_fastprobe.when import Once

STEPS = ("apply", "verify", "revert", "is_gone")
HARM: set[str] = set()
"""What is in force now, by mark."""


class Odd(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that misbehaves as it is told: `trouble` maps a step to what it does, `times` often."""

    kind: ClassVar[str] = "odd"
    lasts: ClassVar[bool] = True
    trouble: dict[str, str] = {}
    seed: int = 0

    async def preflight(self, _host):
        return (Backing("memory", usable=True, why=""),)

    async def plan(self, _host, mark):
        return FaultPlan(
            kind="odd",
            backend="memory",
            mark=mark,
            targets=(mark,),
            resources=(f"odd:{mark}",),
            handle={"trouble": msgspec.json.encode(self.trouble).decode()},
            manual=f"HARM.discard({mark!r})",
        )

    async def apply(self, _host, plan):
        await _trouble(plan, "apply", before=True)
        HARM.add(plan.mark)
        await _trouble(plan, "apply", before=False)

    async def verify(self, _host, plan):
        await _trouble(plan, "verify", before=True)
        return Effect(plan.mark in HARM, 1, "in force" if plan.mark in HARM else "gone")

    @classmethod
    async def revert(cls, _host, plan):
        await _trouble(plan, "revert", before=True)
        HARM.discard(plan.mark)
        await _trouble(plan, "revert", before=False)

    @classmethod
    async def is_gone(cls, _host, plan):
        await _trouble(plan, "is_gone", before=True)
        return plan.mark not in HARM

    @classmethod
    async def scan(cls, _host):
        return ()


DONE: dict[tuple[str, str], int] = {}


async def _trouble(plan, step, *, before):
    """Misbehave the first time in this step; a fault that never can be undone is the business of another test."""
    kind = msgspec.json.decode(plan.handle["trouble"]).get(step, "")
    when = "after" if kind.startswith("late ") else "before"
    if when != ("before" if before else "after") or DONE.get((plan.mark, step)):
        return
    if kind:
        DONE[plan.mark, step] = 1
    match kind.removeprefix("late "):
        case "raise":
            raise FaultError(f"{step} failed")
        case "crash":
            raise ZeroDivisionError(step)
        case "hang":
            await trio.sleep(2)
        case "end":
            HARM.discard(plan.mark)
        case "group":
            raise ExceptionGroup("several", [FaultError(f"{step} failed"), ValueError(step)])


async def at_once(call):
    """A virtual clock jumps while a thread works, past deadlines that nobody missed."""
    await trio.lowlevel.checkpoint()
    return call()


class Around:
    def __init__(self):
        self.audit = self
        self.entries = []
        self.on = True
        self.incident = False
        self.audit_works = True
        self.slow_s = 0.0
        self.told = []

    async def append(self, entry):
        await trio.sleep(self.slow_s)
        if not self.audit_works:
            raise AuditError("the disk is full")
        self.entries.append(entry)

    def note(self, entry):
        self.entries.append(entry)

    def is_on(self, toggle):
        return self.incident if toggle == "chaos.incident" else self.on

    def tell(self, run):
        self.told.append(run)


@asynccontextmanager
async def conducting(*experiments, journal=None, **changes):
    HARM.clear()
    DONE.clear()
    registry = FaultRegistry()
    registry.register(Odd)
    chaos = ChaosSettings(experiments=experiments, **({"max_concurrent": 1000, "cooldown_s": 0.0} | changes))
    conductor = Conductor(
        chaos,
        host="cp-1",
        cluster="",
        faults=registry,
        bench=Bench("cp-1", {}, None),
        snapshot=lambda: None,
        glance=lambda: None,
    )
    conductor.journal = journal or Journal(None, at_once)
    around = Around()
    async with trio.open_nursery() as nursery:
        await nursery.start(conductor.run, around)
        yield conductor, around
        nursery.cancel_scope.cancel()


def odd(name="a", duration_s=5.0, **trouble):
    return Experiment(id=name, fault=Odd(trouble=trouble), duration_s=duration_s, recovery_s=1.0)


async def activated(conductor, name="a"):
    prepared = await conductor.prepare(name, subject="user:anna")
    return await conductor.activate(name, prepared.token, subject="user:anna")


async def ended(conductor, name="a"):
    while conductor.current(name).phase not in FINAL | {Phase.REVERT_FAILED}:
        await trio.sleep(0.1)
    return conductor.current(name)


async def tried(conductor):
    """Activated, unless somebody else was faster."""
    with suppress(ChaosRefusedError):
        await activated(conductor)


troubles = st.dictionaries(
    st.sampled_from(STEPS), st.sampled_from(["raise", "crash", "hang", "end", "group", "late raise", "late crash", "late hang"])
)


@settings(max_examples=300)
@given(troubles, st.sampled_from(["", "stop", "halt", "off", "leave", "twice"]), st.floats(0, 12), st.randoms())
def test_nothing_is_left_whatever_happens(trouble, act, after_s, rng: random.Random):
    async def main():
        async with conducting(odd(**trouble)) as (conductor, around):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tried, conductor)
                await trio.sleep(after_s)
                match act:
                    case "stop" if conductor.current("a") is not None:
                        await conductor.stop("a", subject="user:bob")
                        assert not HARM
                    case "halt":
                        await conductor.halt(subject="user:bob")
                        assert not HARM
                    case "twice" if conductor.current("a") is not None:
                        for _ in range(2):
                            nursery.start_soon(lambda: conductor.stop("a", subject="user:bob"))
                    case "off":
                        around.on = False
                    case "leave":
                        return
            if conductor.current("a") is not None:
                assert (await ended(conductor)).phase is not Phase.REVERT_FAILED
            assert not HARM

    rng.random()
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert not HARM


async def test_a_run_that_is_not_on_record_is_not_run(mock_clock):
    async with conducting(odd()) as (conductor, around):
        prepared = await conductor.prepare("a", subject="user:anna")
        around.audit_works = False
        run = await conductor.activate("a", prepared.token, subject="user:anna")
        assert run.phase is Phase.CANCELLED
        assert "the disk is full" in run.why
        assert run.injected_at is None


class FullDisk(Journal):
    """The disk is full from `full_from` commits on."""

    def __init__(self, full_from):
        super().__init__(None, at_once)
        self.left = full_from

    def _commit(self, runs, facts):
        self.left -= 1
        if self.left < 0:
            raise JournalError("the disk is full")
        super()._commit(runs, facts)


@pytest.mark.parametrize("full_from", range(8))
async def test_a_full_disk_under_the_journal_keeps_faults_out_and_never_in(mock_clock, full_from):
    async with conducting(odd(), journal=FullDisk(full_from)) as (conductor, _):
        if full_from == 0:
            with pytest.raises(ChaosRefusedError, match="the disk is full"):
                await activated(conductor)
        else:
            await activated(conductor)
            assert (await ended(conductor)).phase in FINAL
        assert not HARM
        if full_from < 2:
            assert "a" not in {mark for mark, step in DONE}


async def test_a_fault_that_cannot_be_undone_is_told_blocks_the_host_and_is_tried_again(monkeypatch):
    broken = True

    async def revert(_cls, _host, plan):
        if broken:
            raise FaultError("the tool is gone")
        HARM.discard(plan.mark)

    monkeypatch.setattr(Odd, "revert", classmethod(revert))
    async with conducting(odd(), odd("b")) as (conductor, around):
        await activated(conductor)
        run = await conductor.stop("a", subject="user:bob")
        assert run.phase is Phase.REVERT_FAILED
        assert "the tool is gone; undo it by hand: HARM.discard('a')" in run.why
        with pytest.raises(ChaosRefusedError, match="could not be undone; undo it first"):
            await conductor.prepare("b", subject="user:anna")
        assert conductor.tally.read().stuck == {("a", "odd")}
        await conductor.stop("a", subject="user:bob")
        assert conductor.current("a").phase is Phase.REVERT_FAILED
        broken = False
        assert (await conductor.stop("a", subject="user:bob")).phase is Phase.ORPHAN_REVERTED
        assert not HARM
        await conductor.prepare("b", subject="user:anna")
    assert [entry.action for entry in around.entries if "revert_failed" in entry.action]


async def test_the_host_leaves_nothing_behind_when_it_stops():
    async with conducting(odd(duration_s=600.0), odd("b", duration_s=600.0)) as (conductor, _):
        await activated(conductor, "a")
        await activated(conductor, "b")
        assert {"a", "b"} == HARM
    assert not HARM


async def test_what_changes_between_prepare_and_activate_is_refused(mock_clock, monkeypatch):
    async with conducting(odd()) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        plan = Odd.plan

        async def other(self, host, mark):
            return msgspec.structs.replace(await plan(self, host, mark), targets=("another",))

        monkeypatch.setattr(Odd, "plan", other)
        with pytest.raises(ChaosRefusedError, match="has changed since it was prepared"):
            await conductor.activate("a", prepared.token, subject="user:anna")
        assert conductor.current("a").phase is Phase.REJECTED
        assert not HARM


async def test_what_started_while_it_was_prepared_again_can_still_be_stopped(mock_clock):
    async with conducting(odd(duration_s=600.0)) as (conductor, around):
        prepared = await conductor.prepare("a", subject="user:anna")
        around.slow_s = 1.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused_as_active, conductor)
            await trio.testing.wait_all_tasks_blocked()
            around.slow_s = 0.0
            assert (await conductor.activate("a", prepared.token, subject="user:anna")).phase is Phase.ACTIVE
        assert [run.id for run in conductor.live] == [prepared.run.id] == [conductor.current("a").id]
        await conductor.stop("a", subject="user:bob")
        assert not HARM


async def refused_as_active(conductor):
    with pytest.raises(ChaosRefusedError, match="a-1 is active"):
        await conductor.prepare("a", subject="user:anna")


async def test_of_two_who_prepare_at_once_the_first_to_be_on_record_is_cancelled(mock_clock):
    async with conducting(odd()) as (conductor, around):
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(lambda: conductor.prepare("a", subject="user:anna"))
        last = {run.id: run.phase for run in around.told}
        assert sorted(last.values()) == [Phase.CANCELLED, Phase.PREPARED]
        assert last[conductor.current("a").id] is Phase.PREPARED


async def test_what_is_prepared_anew_while_it_is_activated_is_not_what_was_confirmed(mock_clock, monkeypatch):
    """By a second person who takes back what the first two agreed on, say."""
    plan, slow_s = Odd.plan, 1.0

    async def slowly(self, host, mark):
        await trio.sleep(slow_s)
        return await plan(self, host, mark)

    async with conducting(odd(duration_s=600.0), two_person=True) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        await conductor.approve("a", prepared.run.plan.id, subject="user:bob")
        monkeypatch.setattr(Odd, "plan", slowly)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused_as_of_another_plan, conductor, prepared.token)
            await trio.testing.wait_all_tasks_blocked()
            slow_s = 0.0
            await conductor.prepare("a", subject="user:bob")
        assert (conductor.current("a").phase, HARM) == (Phase.AWAITING_APPROVAL, set())


async def refused_as_of_another_plan(conductor, token):
    with pytest.raises(ChaosRefusedError, match="the confirmation is of another plan"):
        await conductor.activate("a", token, subject="user:anna")


async def test_a_confirmation_lapses():
    async with conducting(odd(), confirm_s=0.1) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        with trio.fail_after(20):
            await ended(conductor)
        assert conductor.current("a").phase is Phase.EXPIRED
        with pytest.raises(ChaosRefusedError, match="a is expired"):
            await conductor.activate("a", prepared.token, subject="user:anna")


async def test_who_may_no_longer_do_it_ends_what_they_started():
    allowed = True
    async with conducting(odd(duration_s=60.0)) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        await conductor.activate("a", prepared.token, subject="user:anna", still_allowed=lambda: allowed)
        allowed = False
        with trio.fail_after(20):
            run = await ended(conductor)
        assert "user:anna may not do this any more" in run.why


async def test_an_incident_that_is_declared_meanwhile_ends_what_runs():
    async with conducting(odd(duration_s=60.0)) as (conductor, around):
        await activated(conductor)
        around.incident = True
        with trio.fail_after(20):
            assert "an incident was declared" in (await ended(conductor)).why


async def test_a_blackout_that_begins_meanwhile_ends_what_runs():
    async with conducting(odd(duration_s=60.0)) as (conductor, _):
        await activated(conductor)
        now = datetime.now(UTC)
        window = Once(start=now - timedelta(seconds=1), end=now + timedelta(hours=1))
        conductor.configure(msgspec.structs.replace(conductor.settings, blackouts=(Blackout(reason="the fair", when=window),)))
        with trio.fail_after(20):
            assert "a blackout began: the fair" in (await ended(conductor)).why


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_a_clock_on_the_wall_that_jumps_changes_nothing(jump_s, monkeypatch):
    async with conducting(odd(duration_s=0.5)) as (conductor, _):
        began = trio.current_time()
        await activated(conductor)
        now_s = time.time
        monkeypatch.setattr("time.time", lambda: now_s() + jump_s)
        with trio.fail_after(20):
            assert (await ended(conductor)).phase is Phase.COMPLETED
        assert trio.current_time() - began >= 0.5


async def test_halt_ends_a_thousand():
    names = [f"x{number}" for number in range(1000)]
    async with conducting(*(odd(name, duration_s=600.0) for name in names)) as (conductor, _):
        for name in names:
            await activated(conductor, name)
        assert len(HARM) == 1000
        assert len(await conductor.halt(subject="user:bob")) == 1000
        assert not HARM


async def test_of_two_who_undo_what_is_stuck_at_once_neither_fails(mock_clock, monkeypatch):
    broken = True

    async def revert(_cls, _host, plan):
        await trio.sleep(1)
        if broken:
            raise FaultError("the tool is gone")
        HARM.discard(plan.mark)

    monkeypatch.setattr(Odd, "revert", classmethod(revert))
    async with conducting(odd(duration_s=600.0)) as (conductor, around):
        await activated(conductor)
        assert (await conductor.stop("a", subject="user:anna")).phase is Phase.REVERT_FAILED
        broken = False
        async with trio.open_nursery() as nursery:
            for subject in ("user:anna", "user:bob"):
                nursery.start_soon(lambda subject=subject: conductor.stop("a", subject=subject))
            [run] = await conductor.halt(subject="user:carl")
        assert run.phase is Phase.ORPHAN_REVERTED
        assert (conductor.live, await conductor.journal.fact("halted")) == ((), "by user:carl")
        assert [entry.action for entry in around.entries].count("chaos.orphan_reverted") == 1


async def test_a_host_that_stops_while_it_asks_its_fleet_lets_nobody_wait_and_forgets_what_was_armed(mock_clock):
    came_to = []

    async def activate(conductor, token):
        came_to.append(await conductor.activate("a", token, subject="user:anna", fleet=trio.sleep_forever))

    async with trio.open_nursery() as embedder, conducting(odd(), max_concurrent_fleet=1) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        embedder.start_soon(activate, conductor, prepared.token)
        await trio.testing.wait_all_tasks_blocked()
        assert conductor.current("a").phase is Phase.ARMED
    assert [(run.phase, run.why) for run in came_to] == [(Phase.CANCELLED, "the host stopped before anything was injected")]
    assert conductor.live == ()


async def test_a_host_that_runs_again_is_not_held_by_what_it_did_not_see_the_end_of(mock_clock, monkeypatch):
    async def never_well(_life):
        await trio.sleep_forever()

    monkeypatch.setattr(Life, "_recover", never_well)
    async with conducting(odd(duration_s=1.0)) as (conductor, around):
        await activated(conductor)
        await trio.sleep(2)
        assert conductor.current("a").phase is Phase.RECOVERING
    async with trio.open_nursery() as nursery:
        await nursery.start(conductor.run, around)
        assert conductor.live == ()
        await conductor.prepare("a", subject="user:anna")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("by", ["stop", "halt"])
async def test_what_an_earlier_start_left_stuck_is_told_as_it_is_once_it_is_undone(mock_clock, monkeypatch, by):
    broken = True

    async def revert(_cls, _host, plan):
        if broken:
            raise FaultError("the tool is gone")
        HARM.discard(plan.mark)

    monkeypatch.setattr(Odd, "revert", classmethod(revert))
    async with conducting(odd(duration_s=600.0)) as (conductor, around):
        await activated(conductor)
        assert (await conductor.stop("a", subject="user:anna")).phase is Phase.REVERT_FAILED
    async with trio.open_nursery() as nursery:
        await nursery.start(conductor.run, around)
        assert [run.phase for run in conductor.live] == [Phase.REVERT_FAILED]
        broken = False
        if by == "stop":
            run = await conductor.stop("a", subject="user:bob")
        else:
            [run] = await conductor.halt(subject="user:bob")
        assert run.phase is Phase.ORPHAN_REVERTED
        assert (conductor.current("a"), conductor.live, HARM) == (run, (), set())
        nursery.cancel_scope.cancel()
