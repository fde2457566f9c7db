"""Experiments that are gone, by a reload or at a restart: known until what runs of them has ended, and not a moment longer."""

from __future__ import annotations

import msgspec
import pytest
import trio.testing

from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry
from meshkit_fastprobe.chaos.journal import Journal
from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.chaos.states import Phase

from .test_conducting import HARM, Odd, activated, at_once, conducting, odd


def reloaded(conductor, *experiments):
    conductor.configure(msgspec.structs.replace(conductor.settings, experiments=experiments))
    return set(conductor.experiments)


async def test_what_is_removed_while_it_runs_can_be_stopped_and_is_forgotten_then(mock_clock):
    a, b = odd(duration_s=600.0), odd("b")
    async with conducting(a, b) as (conductor, _):
        conductor.register(odd("c"))
        await activated(conductor)
        assert reloaded(conductor) == {"a", "c"}
        assert reloaded(conductor, b) == {"a", "b", "c"}
        with pytest.raises(ChaosRefusedError, match="a-1 is active"):
            await conductor.prepare("a", subject="user:anna")
        assert (await conductor.stop("a", subject="user:bob")).stopped_by == "user:bob"
        await trio.testing.wait_all_tasks_blocked()
        assert (HARM, set(conductor.experiments)) == (set(), {"b", "c"})


async def test_what_only_waits_is_forgotten_at_once_and_what_comes_back_stays(mock_clock):
    a, b = odd(duration_s=600.0), odd("b")
    async with conducting(a, b) as (conductor, _):
        await activated(conductor)
        prepared = await conductor.prepare("b", subject="user:anna")
        assert reloaded(conductor) == {"a"}
        with pytest.raises(ChaosRefusedError, match="no experiment is named 'b'"):
            await conductor.activate("b", prepared.token, subject="user:anna")
        assert reloaded(conductor, a) == {"a"}
        run = await conductor.stop("a", subject="user:bob")
        assert (run.phase is not Phase.ACTIVE, set(conductor.experiments)) == (True, {"a"})


@pytest.fixture
def broken(monkeypatch):
    """Nothing can be undone until it is emptied."""
    reasons = ["the tool is gone"]

    async def revert(_cls, _host, plan):
        if reasons:
            raise FaultError(reasons[0])
        HARM.discard(plan.mark)

    monkeypatch.setattr(Odd, "revert", classmethod(revert))
    return reasons


def kept(folder):
    return Journal(folder, at_once)


@pytest.mark.parametrize("kind_is_known", [True, False])
async def test_what_an_earlier_process_left_stuck_is_stopped_though_its_experiment_is_gone(
    mock_clock, broken, tmp_path, kind_is_known
):
    async with conducting(odd(duration_s=600.0), journal=kept(tmp_path)) as (conductor, _):
        await activated(conductor)
        assert (await conductor.stop("a", subject="user:anna")).phase is Phase.REVERT_FAILED
    async with conducting(odd("b"), journal=kept(tmp_path)) as (conductor, around):
        HARM.add("a")
        assert (set(conductor.experiments), conductor.experiments["a"].fault.kind) == ({"a", "b"}, "odd")
        with pytest.raises(ChaosRefusedError, match=r"undo it first: fastprobe chaos stop a$"):
            await conductor.prepare("b", subject="user:anna")
        with pytest.raises(ChaosRefusedError, match="no experiment any more, and known only until its fault is undone"):
            await conductor.prepare("a", subject="user:anna")
        assert reloaded(conductor, odd("b")) == {"a", "b"}
        if not kind_is_known:
            faults, conductor.faults = conductor.faults, FaultRegistry()
        run = await conductor.stop("a", subject="user:bob")
        assert (run.phase, HARM, run.why.endswith("; undo it by hand: HARM.discard('a')")) == (Phase.REVERT_FAILED, {"a"}, True)
        assert set(conductor.experiments) == {"a", "b"}
        broken.clear()
        if not kind_is_known:
            conductor.faults = faults
        run = await conductor.stop("a", subject="user:bob")
        assert (run.phase, run.reverted_at is not None, HARM) == (Phase.ORPHAN_REVERTED, True, set())
        assert (set(conductor.experiments), conductor.live) == ({"b"}, ())
        await conductor.prepare("b", subject="user:anna")
    assert [(entry.actor, entry.scope) for entry in around.entries if entry.action == "chaos.stop"] == [("user:bob", "a-1")] * 2


async def test_what_is_stuck_stays_known_whoever_is_refused_to_start_it(mock_clock, broken, tmp_path):
    a = odd(duration_s=600.0)
    async with conducting(a, journal=kept(tmp_path)) as (conductor, _):
        await activated(conductor)
        await conductor.stop("a", subject="user:anna")
    async with conducting(a, journal=kept(tmp_path)) as (conductor, _):
        assert reloaded(conductor) == {"a"}
        with pytest.raises(ChaosRefusedError, match="could not be undone; undo it first"):
            await conductor.prepare("a", subject="user:anna")
        assert set(conductor.experiments) == {"a"}
        broken.clear()
        assert (await conductor.stop("a", subject="user:bob")).phase is Phase.ORPHAN_REVERTED
        assert set(conductor.experiments) == set()


async def test_who_configures_it_again_gets_what_is_configured(mock_clock, broken, tmp_path):
    async with conducting(odd(duration_s=600.0), journal=kept(tmp_path)) as (conductor, _):
        await activated(conductor)
        await conductor.stop("a", subject="user:anna")
    async with conducting(journal=kept(tmp_path)) as (conductor, _):
        again = odd(duration_s=7.0)
        assert reloaded(conductor, again) == {"a"}
        broken.clear()
        await conductor.stop("a", subject="user:bob")
        assert conductor.experiments == {"a": again}
