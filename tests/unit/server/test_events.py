"""The ring of events, followed by readers that keep up, fall behind, go and come back."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.security.policy import Resource
from meshkit_fastprobe.server.events import HEARTBEAT_S, PACE_S, Events, Position, View, Wanted

READ = Permission.PROBES_READ
ALL = View("all", None)


def put(events, number, **resource):
    events.put("transition", READ, Resource(**resource), {"n": number}, kind="tcp")


def parse(text):
    """(event, id, data) of each event in a piece of a stream."""
    told = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            told.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return told


async def read(events, n, after=None, view=ALL):
    """The first n events of a new reader, without its greeting."""
    told = []
    stream = events.follow(after, lambda: view, {})
    async for text in stream:
        told += parse(text)
        if len(told) > n:
            break
    await stream.aclose()
    assert told[0][0] == "hello"
    return told[1 : n + 1]


async def test_a_reader_hears_what_happens_after_it_came_and_in_order():
    events = Events()
    put(events, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.run)

        async def later():
            await trio.testing.wait_all_tasks_blocked()
            for number in (1, 2, 3):
                put(events, number)

        nursery.start_soon(later)
        told = await read(events, 3)
        nursery.cancel_scope.cancel()
    assert [data["n"] for _, _, data in told] == [1, 2, 3]


async def test_who_comes_back_goes_on_where_it_was():
    events = Events()
    for number in range(5):
        put(events, number)
    told = await read(events, 3, Position(events.epoch, 2))
    assert [data["n"] for _, _, data in told] == [2, 3, 4]
    assert [at for _, at, _ in told] == [f"{events.epoch}-{seq}" for seq in (3, 4, 5)]


async def test_who_was_away_too_long_is_told_how_much_it_missed():
    events = Events(kept=4)
    for number in range(10):
        put(events, number)
    gap, *rest = await read(events, 5, Position(events.epoch, 2))
    assert (gap[0], gap[2]) == ("gap", {"missed": 4})
    assert [data["n"] for _, _, data in rest] == [6, 7, 8, 9]


@pytest.mark.parametrize("position", [Position("00000000", 3), Position("", 0)])
async def test_a_position_of_another_life_is_a_gap_of_unknown_size(position):
    events = Events()
    put(events, 0)
    [gap] = await read(events, 1, position)
    assert (gap[0], gap[2]) == ("gap", {})
    assert gap[1] == str(events.now)


async def test_a_position_that_was_never_told_is_a_gap():
    events = Events()
    [gap] = await read(events, 1, Position(events.epoch, 99))
    assert gap[0] == "gap"


async def test_closing_tells_where_to_go_on():
    events = Events()
    put(events, 0)
    events.close()
    [end] = await read(events, 1)
    assert end[:2] == ("end", str(events.now))
    assert events.readers == 0


async def test_silence_is_broken_by_a_heartbeat(mock_clock):
    events = Events()
    stream = events.follow(None, lambda: ALL, {})
    assert b"hello" in await anext(stream)
    before = trio.current_time()
    assert await anext(stream) == b": still here\n\n"
    assert trio.current_time() - before == HEARTBEAT_S
    await stream.aclose()


async def test_readers_who_leave_while_nothing_happens_leave_nothing_behind():
    events = Events()
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, events, 1)
            await trio.testing.wait_all_tasks_blocked()
            assert events.readers == 1
            nursery.cancel_scope.cancel()
    assert (events.readers, events._waiting) == (0, [])


async def test_a_view_shows_only_its_own_and_the_position_moves_on_over_the_rest():
    events = Events()
    for number in range(6):
        put(events, number, namespace="ab"[number % 2])
    view = View("b", lambda event: event.resource.namespace == "b")
    told = await read(events, 3, Position(events.epoch, 0), view)
    assert [data["n"] for _, _, data in told] == [1, 3, 5]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(), [0, 1, 2, 3]),
        (Wanted(types=frozenset({"audit"})), []),
        (Wanted(namespace="a"), [0, 2]),
        (Wanted(cluster="eu"), [0, 1]),
        (Wanted(cluster="eu", namespace="b"), [1]),
        (Wanted(name="p[12]"), [1, 2]),
        (Wanted(kind="tcp", name="p3"), [3]),
        (Wanted(kind="http"), []),
    ],
)
def test_what_is_wanted_holds_together(wanted, numbers):
    events = Events()
    seen = []
    test = wanted.test()
    for number in range(4):
        put(events, number, cluster=("eu", "us")[number // 2], namespace="ab"[number % 2], probe=f"p{number}")
    for number, event in enumerate(events._ring):
        if test is None or test(event):
            seen.append(number)
    assert seen == numbers


@given(st.text())
def test_any_last_event_id_is_read_or_refused(text):
    position = Position.parse(text)
    assert position is None or Position.parse(str(position)) == position


async def test_many_readers_share_the_work_and_all_hear_everything(mock_clock):
    events = Events()
    heard = []

    async def reader():
        told = await read(events, 50)
        heard.append([data["n"] for _, _, data in told])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.run)
        for _ in range(100):
            nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        assert events.readers == 100
        for number in range(50):
            put(events, number)
            await trio.sleep(0.001)
        while len(heard) < 100:
            await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    assert heard == [list(range(50))] * 100
    assert events.readers == 0


async def test_a_storm_comes_in_pieces_and_not_event_by_event(mock_clock):
    events = Events()
    pieces = []

    async def reader():
        stream = events.follow(None, lambda: ALL, {})
        told = 0
        async for text in stream:
            pieces.append(len(parse(text)))
            told += pieces[-1]
            if told > 1000:
                break
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.run)
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(1000):
            put(events, number)
            await trio.sleep(0.001)
        while sum(pieces) <= 1000:
            await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    assert len(pieces) < 1000 * 0.001 / PACE_S + 5
