"""An experiment that is configured anew: nobody says yes to what it was before."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.chaos.states import Phase

from .test_conducting import HARM, Odd, conducting, odd

ANOTHER = {
    "two_person": lambda old: msgspec.structs.replace(old, two_person=True),
    "fault": lambda old: msgspec.structs.replace(old, fault=Odd(seed=1)),
    "duration": lambda old: msgspec.structs.replace(old, duration_s=1.0),
}


def reload(conductor, *experiments, **changes):
    conductor.configure(msgspec.structs.replace(conductor.settings, experiments=experiments, **changes))


@pytest.fixture(params=ANOTHER)
def another(request):
    return ANOTHER[request.param](odd())


async def refused(verb, told="a was configured anew|a is cancelled"):
    with pytest.raises(ChaosRefusedError, match=told):
        await verb


async def test_what_was_prepared_of_another_is_cancelled_and_its_token_worth_nothing(mock_clock, another):
    async with conducting(odd()) as (conductor, around):
        prepared = await conductor.prepare("a", subject="user:anna")
        reload(conductor, another)
        run = conductor.current("a")
        assert (run.phase, run.why) == (Phase.CANCELLED, "it was configured anew: prepare it again")
        assert [entry.scope for entry in around.entries if entry.action == "chaos.cancelled"] == ["a-1"]
        await refused(conductor.activate("a", prepared.token, subject="user:anna"))
        await refused(conductor.rehearse("a", token=prepared.token, subject="user:anna"))
        assert not HARM


async def test_what_awaits_a_second_person_is_cancelled_as_well(mock_clock):
    async with conducting(odd(), two_person=True) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        reload(conductor, odd(duration_s=1.0))
        await refused(conductor.approve("a", prepared.run.plan.id, subject="user:bob"))


@pytest.mark.parametrize("step", ["prepare", "activate"])
async def test_what_is_configured_anew_between_two_steps_is_not_what_was_asked_for(mock_clock, monkeypatch, step, another):
    plan = Odd.plan

    async def slowly(self, host, mark):
        await trio.sleep(1)
        return await plan(self, host, mark)

    async with conducting(odd()) as (conductor, around):
        if step == "prepare":
            around.slow_s = 1.0  # while it is written down that it was planned
            verb = conductor.prepare("a", subject="user:anna")
        else:
            prepared = await conductor.prepare("a", subject="user:anna")
            monkeypatch.setattr(Odd, "plan", slowly)
            verb = conductor.activate("a", prepared.token, subject="user:anna")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, verb)
            await trio.testing.wait_all_tasks_blocked()
            reload(conductor, another)
        assert not HARM


async def test_a_second_person_that_is_asked_for_while_it_is_planned_is_asked(mock_clock, monkeypatch):
    """By [chaos] two_person, which is of all experiments."""
    plan = Odd.plan

    async def slowly(self, host, mark):
        await trio.sleep(1)
        return await plan(self, host, mark)

    async with conducting(odd()) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        monkeypatch.setattr(Odd, "plan", slowly)
        async with trio.open_nursery() as nursery:
            verb = conductor.activate("a", prepared.token, subject="user:anna")
            nursery.start_soon(refused, verb, "has changed since it was prepared")
            await trio.testing.wait_all_tasks_blocked()
            reload(conductor, odd(), two_person=True)
        assert not HARM


async def test_what_is_removed_and_added_by_a_request_as_another_is_not_what_was_prepared(mock_clock):
    async with conducting(odd()) as (conductor, _):
        prepared = await conductor.prepare("a", subject="user:anna")
        reload(conductor)
        conductor.register(odd(duration_s=1.0))
        await refused(conductor.activate("a", prepared.token, subject="user:anna"))


async def test_what_stays_as_it_is_can_still_be_confirmed(mock_clock):
    async with conducting(odd(duration_s=600.0)) as (conductor, _):
        conductor.register(odd("b", duration_s=600.0))
        tokens = {name: (await conductor.prepare(name, subject="user:anna")).token for name in "ab"}
        reload(conductor, odd(duration_s=600.0), odd("c"))
        for name, token in tokens.items():
            assert (await conductor.activate(name, token, subject="user:anna")).phase is Phase.ACTIVE
        reload(conductor, odd(duration_s=1.0))
        assert [run.phase for run in conductor.live] == [Phase.ACTIVE] * 2
