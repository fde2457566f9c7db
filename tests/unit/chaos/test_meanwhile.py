"""What happens between two steps of a verb: the disk fills, somebody else is faster, the host stops."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.chaos.states import Phase

from .test_conducting import HARM, FullDisk, Odd, conducting, odd


async def refused(verb, told):
    with pytest.raises(ChaosRefusedError, match=told):
        await verb()


async def test_of_two_who_prepare_at_once_on_a_full_disk_both_hear_of_the_disk(mock_clock):
    async with conducting(odd(), journal=FullDisk(0)) as (conductor, _):
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(refused, lambda: conductor.prepare("a", subject="user:anna"), "the disk is full")
        assert conductor.current("a").phase is Phase.CANCELLED


async def test_a_host_that_stops_while_it_plans_arms_nothing(mock_clock, monkeypatch):
    plan = Odd.plan

    async def slowly(self, host, mark):
        await trio.sleep(1)
        return await plan(self, host, mark)

    async with trio.open_nursery() as embedder:
        async with conducting(odd()) as (conductor, _):
            prepared = await conductor.prepare("a", subject="user:anna")
            monkeypatch.setattr(Odd, "plan", slowly)
            verb = lambda: conductor.activate("a", prepared.token, subject="user:anna")  # noqa: E731 - called once, elsewhere
            embedder.start_soon(refused, verb, "the host is starting, or stopping")
            await trio.testing.wait_all_tasks_blocked()
        assert conductor.current("a").phase is Phase.PREPARED
    assert (conductor.current("a").phase, conductor.live, HARM) == (Phase.PREPARED, (), set())


class Asked(list):
    """A fleet that has not answered yet."""

    async def __call__(self):
        self.append(1)
        await trio.sleep(5)
        return []


@pytest.mark.parametrize("by", ["stop", "halt"])
@pytest.mark.parametrize("slow_s", [0.0, 10.0], ids=["while the fleet is asked", "while it is written down"])
async def test_an_activation_that_is_called_off_does_not_look_like_one_on_record(mock_clock, by, slow_s):
    async with conducting(odd(), **({} if slow_s else {"max_concurrent_fleet": 1})) as (conductor, around):
        prepared = await conductor.prepare("a", subject="user:anna")
        around.slow_s = slow_s
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                lambda: conductor.activate("a", prepared.token, subject="user:anna", fleet=None if slow_s else Asked())
            )
            await trio.testing.wait_all_tasks_blocked()
            assert conductor.current("a").phase is Phase.ARMED
            if by == "stop":
                await conductor.stop("a", subject="user:bob")
            else:
                await conductor.halt(subject="user:bob")
        assert (conductor.current("a").phase, conductor.current("a").injected_at, HARM) == (Phase.CANCELLED, None, set())
    told = [(entry.action, entry.result, entry.actor) for entry in around.entries if entry.scope == "a-1"]
    activations = [one for one in told if one[0] == "chaos.activate"]
    assert activations[-1] == ("chaos.activate", "refused", "user:anna")
    assert len(activations) == (2 if slow_s else 1)  # what is written when nothing is called off yet stays written
    assert told.index(("chaos.cancelled", "allowed", "user:anna")) < told.index(activations[-1])
    [cancelled] = [entry for entry in around.entries if entry.action == "chaos.cancelled"]
    assert "user:bob" in cancelled.detail
