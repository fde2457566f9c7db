"""Long work in short turns comes to what it would have come to at once."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import trio

from meshkit_fastprobe.in_turns import in_turns, to_the_end
from meshkit_fastprobe.scheduling.sorting import SORTED_AT_ONCE, argsort
from meshkit_fastprobe.turns import finish

rng = np.random.default_rng(11)


@pytest.mark.parametrize(
    "values",
    [
        rng.random(5 * SORTED_AT_ONCE + 17),
        np.arange(3 * SORTED_AT_ONCE)[::-1],
        rng.integers(0, 3, 4 * SORTED_AT_ONCE),
        np.zeros(2 * SORTED_AT_ONCE + 1, np.int64),
        np.concatenate([np.zeros(SORTED_AT_ONCE * 2), rng.random(SORTED_AT_ONCE * 2)]),
        rng.random(10),
        np.empty(0),
    ],
    ids=["even", "backwards", "few", "same", "half", "short", "none"],
)
def test_sorting_in_turns_is_sorting(values):
    assert (finish(argsort(values)) == np.argsort(values, kind="stable")).all()


def test_no_part_of_evenly_spread_numbers_is_much_larger_than_the_others():
    assert sum(1 for _ in argsort(rng.random(8 * SORTED_AT_ONCE))) == 8


async def test_others_have_their_turns_meanwhile():
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await in_turns(argsort(rng.random(8 * SORTED_AT_ONCE)))
        nursery.cancel_scope.cancel()
    assert turns >= 6


async def test_what_is_done_to_the_end_heeds_a_cancellation_afterwards():
    with trio.CancelScope() as scope:
        scope.cancel()
        assert len(await to_the_end(argsort(rng.random(8 * SORTED_AT_ONCE)))) == 8 * SORTED_AT_ONCE
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught


async def test_what_is_done_to_the_end_heeds_an_interrupt_afterwards():
    done = []

    def work():
        for step in range(3):
            signal.raise_signal(signal.SIGINT)
            done.append(step)
            yield

    await to_the_end(work())
    with pytest.raises(KeyboardInterrupt):
        await trio.lowlevel.checkpoint()
    assert done == [0, 1, 2]
