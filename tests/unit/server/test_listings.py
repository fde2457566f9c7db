"""Pages that are shared for a moment: one at a time, and never older than what their reader did."""

from __future__ import annotations

import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.server.listings import FRESH_S, MAX_KEPT, MAX_KEPT_BYTES, Listings
from meshkit_fastprobe.server.reply import Reply


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


class Maker:
    """Makes pages, and remembers of which snapshots; how many at once is what the lock is for."""

    def __init__(self, body=b"page"):
        self.snapshots = []
        self.busy = 0
        self.most = 0
        self.body = body

    async def __call__(self, snapshot):
        self.snapshots.append(snapshot)
        self.busy += 1
        self.most = max(self.most, self.busy)
        await trio.lowlevel.checkpoint()
        self.busy -= 1
        return Reply(200, "text/plain", self.body)


def listings(diag, clock=None):
    return Listings(diag, clock or Clock())


async def test_readers_of_the_same_page_wait_for_one_to_be_made(diag):
    shared, make = listings(diag), Maker()
    async with trio.open_nursery() as nursery:
        for _ in range(32):
            nursery.start_soon(shared.page, "key", make)
    assert len(make.snapshots) == 1


async def test_different_pages_are_made_one_after_the_other_of_one_snapshot(diag):
    shared, make = listings(diag), Maker()
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(shared.page, number, make)
    assert make.most == 1
    assert len(make.snapshots) == 8
    assert len({id(snapshot) for snapshot in make.snapshots}) == 1


async def test_a_page_is_made_anew_when_its_time_has_passed(diag):
    clock, make = Clock(), Maker()
    shared = listings(diag, clock)
    await shared.page("key", make)
    clock.now_s += FRESH_S * 0.9
    await shared.page("key", make)
    assert len(make.snapshots) == 1
    clock.now_s += FRESH_S
    await shared.page("key", make)
    assert len(make.snapshots) == 2


async def test_whoever_adds_removes_or_pauses_sees_it_at_once(diag):
    shared, make = listings(diag), Maker()
    diag.add(fp.TcpProbe("10.0.0.1:1"), name="a")
    await shared.page("key", make)
    for number, act in enumerate((lambda: diag.pause("a"), lambda: diag.resume("a"), lambda: diag.remove("a")), 2):
        act()
        await shared.page("key", make)
        assert len(make.snapshots) == number


async def test_what_is_kept_is_bounded(diag):
    shared, make = listings(diag), Maker()
    for number in range(MAX_KEPT + 10):
        await shared.page(number, make)
    assert len(shared._pages) == MAX_KEPT
    large = Maker(b"x" * (MAX_KEPT_BYTES + 1))
    shared = listings(diag)
    for _ in range(2):
        await shared.page("large", large)
    assert len(large.snapshots) == 2
