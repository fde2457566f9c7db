"""Placing large batches: phases are settled at once, the engine is told a little at a time, and nothing is lost meanwhile."""

from __future__ import annotations

import pytest
import trio

from meshkit_fastprobe import Diagnostics, Settings
from meshkit_fastprobe.scheduling import placement
from meshkit_fastprobe.scheduling.resolver import Resolver
from meshkit_fastprobe.scheduling.sharing import Sharing

NS = 1_000_000_000
BATCH = 3 * placement.PLACED_AT_ONCE


class Clock:
    now_ns = 100 * NS

    def schedule_ns(self) -> int:
        return self.now_ns


class Engine:
    """Remembers what it was told to add."""

    def __init__(self) -> None:
        self.due_ns: dict[int, int] = {}

    def add(self, slot: int, _generation: int, _lane: int, due_ns: int, *_: int, **__: object) -> None:
        self.due_ns[slot] = due_ns


def registered(interval: float):
    diag = Diagnostics(Settings(host="test"))

    async def probe() -> None: ...

    for number in range(BATCH):
        diag.probe(f"p{number}", interval=interval, timeout=0.5)(probe)
    return diag


async def place_late(interval: float, late_s: float):
    """Place a batch, and let time pass before the event loop gets to it."""
    clock, engine, diag = Clock(), Engine(), registered(interval)
    registrations = list(diag.catalog)
    place = placement.Placement(
        engine,
        Resolver(30.0, lambda _: None),
        clock,
        60.0,
        point=lambda _registration, _target: None,
        is_current=lambda _: True,
        flush=lambda: None,
        state=diag.table.column("state"),
        sharing=Sharing(diag.settings, diag.catalog.groups),
        judged=lambda _: pytest.fail("nothing here is judged"),
        interval_s=lambda one: one.options.interval_s,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.run)
        begins_ns = place.place(registrations)
        clock.now_ns = begins_ns + int(late_s * NS)
        while len(engine.due_ns) < BATCH:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    return begins_ns, clock.now_ns, registrations, engine


async def test_first_runs_that_fell_due_meanwhile_are_late_and_not_lost():
    begins_ns, now_ns, registrations, engine = await place_late(interval=10.0, late_s=2.0)
    assert {one.slot: one.due_ns for one in registrations} == engine.due_ns
    passed = [due_ns for due_ns in engine.due_ns.values() if due_ns < now_ns]
    assert 0.19 < len(passed) / BATCH < 0.21
    assert min(engine.due_ns.values()) >= begins_ns


async def test_a_probe_a_whole_interval_late_waits_for_its_next_turn():
    _, now_ns, registrations, engine = await place_late(interval=1.0, late_s=2.5)
    for one in registrations:
        assert (engine.due_ns[one.slot] - one.due_ns) % NS == 0
        assert engine.due_ns[one.slot] > now_ns - NS
