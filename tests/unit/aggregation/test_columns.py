import math

import numpy as np
import pytest

from meshkit_fastprobe._native.layout import NO_RESULT
from meshkit_fastprobe.aggregation.columns import RESULT_NAMES, STALE_INTERVALS
from meshkit_fastprobe.model import Lane, Reason, Result, State


def cells(world, name):
    snapshot = world.snapshot()
    row = snapshot.names.index(name)
    return {column: values[row].item() for column, values in snapshot.columns.items()}


def test_a_probe_that_never_ran_has_no_last_anything(world):
    world.add("a")
    at = cells(world, "a")
    assert (at["state"], at["last_result"]) == (State.UNKNOWN, NO_RESULT)
    assert math.isnan(at["last_run"])
    assert math.isnan(at["last_latency_s"])
    assert at["since"] == world.wall_s


def test_the_last_result_is_told_whole(world):
    world.add("a")
    world.ingest("a", Result.OK)
    world.wait(1)
    world.ingest("a", Result.FAIL, latency_s=0.25, reason=Reason.HTTP_STATUS, detail=503)
    began_s = world.wall_s
    world.wait(0.5)
    at = cells(world, "a")
    assert (at["last_result"], at["last_reason"], at["last_detail"]) == (Result.FAIL, Reason.HTTP_STATUS, 503)
    assert at["last_latency_s"] == 0.25
    assert at["last_run"] == pytest.approx(began_s, abs=1e-6)
    assert at["since"] == pytest.approx(began_s + 0.25, abs=1e-6)


@pytest.mark.parametrize("runs", [1, 7, 8, 9, 16, 17, 40])
def test_the_last_latency_is_found_however_often_the_memory_went_round(world, runs):
    world.add("a")
    for run in range(runs):
        world.ingest("a", Result.OK, latency_s=(run + 1) / 1000)
    assert cells(world, "a")["last_latency_s"] == pytest.approx(runs / 1000, rel=1e-6)


def test_results_are_counted_under_their_names(world):
    world.add("a")
    for times, result in enumerate(Result, 1):
        world.ingest("a", *[result] * times)
    at = cells(world, "a")
    assert {name: at[name] for name in RESULT_NAMES} == {"ok": 1, "degraded": 2, "fail": 3, "timeout": 4, "error": 5}


def test_stale_begins_after_three_silent_intervals(world):
    world.add("a", interval_s=2.0)
    world.ingest("a", Result.OK, latency_s=0)
    world.wait(STALE_INTERVALS * 2.0)
    assert not cells(world, "a")["stale"]
    world.wait(0.001)
    assert cells(world, "a")["stale"]


def test_a_result_ends_staleness(world):
    world.add("a")
    world.wait(60)
    assert cells(world, "a")["stale"]
    world.ingest("a", Result.FAIL)
    assert not cells(world, "a")["stale"]


def test_a_paused_or_passive_probe_is_never_stale(world):
    world.add("paused")
    world.add("told", lane=Lane.PASSIVE)
    world.pause("paused")
    world.wait(3600)
    assert not world.snapshot().columns["stale"].any()


def test_a_probe_that_reuses_a_slot_inherits_nothing(world):
    before = world.add("before")
    world.ingest("before", *[Result.TIMEOUT] * 9)
    world.remove("before")
    world.wait(10)
    after = world.add("after")
    assert after.slot == before.slot
    at = cells(world, "after")
    assert (at["last_result"], at["timeout"], at["transitions"]) == (NO_RESULT, 0, 0)
    assert at["since"] == world.wall_s


def test_rows_are_read_in_the_order_asked_for(world):
    slots = [world.add(f"p{number}", interval_s=number + 1.0).slot for number in range(5)]
    asked = np.array([slots[3], slots[0], slots[4]])
    read = world.builder._columns.read(asked, world.now_ns, world.wall_s)
    assert read["slot"].tolist() == asked.tolist()
    assert read["interval_s"].tolist() == [4.0, 1.0, 5.0]


def test_columns_of_no_probes_are_empty(world):
    assert {len(column) for column in world.snapshot().columns.values()} == {0}
