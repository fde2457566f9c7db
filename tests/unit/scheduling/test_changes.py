from __future__ import annotations

import gc

import pytest
import trio

from meshkit_fastprobe.model import Reason, State, Transition
from meshkit_fastprobe.scheduling.changes import MAX_QUEUED, Changes


def change(name: str) -> Transition:
    return Transition(name, "c", "n", "tcp", State.HEALTHY, State.UNHEALTHY, Reason.CONNECT_REFUSED, "", 0.0)


async def test_a_listener_hears_everything_since_it_began_to_listen():
    changes = Changes()
    changes.publish(change("before"))
    stream = changes.listen()
    changes.publish(change("a"))
    changes.publish(change("b"))
    changes.close()
    assert [one.name async for one in stream] == ["a", "b"]


async def test_a_waiting_listener_is_woken(mock_clock):
    changes = Changes()
    stream = changes.listen()
    async with trio.open_nursery() as nursery:

        async def later() -> None:
            await trio.sleep(1)
            changes.publish(change("late"))

        nursery.start_soon(later)
        assert (await stream.__anext__()).name == "late"


async def test_a_slow_listener_loses_the_oldest_and_is_told_how_many():
    changes = Changes()
    stream = changes.listen()
    for number in range(MAX_QUEUED + 3):
        changes.publish(change(str(number)))
    assert stream.lost == 3
    assert (await stream.__anext__()).name == "3"


async def test_a_listener_that_nobody_holds_disappears():
    changes = Changes()
    changes.listen()
    gc.collect()
    assert not changes


async def test_listening_after_the_end_ends_at_once():
    changes = Changes()
    stream = changes.listen()
    changes.close()
    with pytest.raises(StopAsyncIteration):
        await stream.__anext__()
