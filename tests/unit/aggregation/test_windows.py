"""Windows beside the events they are about: each event is known with its moment, and any span can be counted again."""

from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.layout import HIST_BUCKETS, HIST_OVERFLOW
from meshkit_fastprobe.aggregation.windows import WINDOWS
from meshkit_fastprobe.model import Result

FRAME_S = 5.0
EDGE_S = {"1m": FRAME_S, "5m": 30.0, "1h": 300.0}
"""By how much a window may be too long: the length of the frames at its far end."""


def sums(world, window, rows=None):
    groups = len(world.catalog.groups)
    rows = np.arange(groups) if rows is None else np.array(rows)
    return world.windows.sums(window, rows, int(rows.max()) + 1)


def run_for(world, seconds, name="a", result=Result.OK):
    """One result a second, one frame every FRAME_S, as a host does it."""
    for second in range(1, int(seconds) + 1):
        world.wait(1)
        world.ingest(name, result)
        if second % FRAME_S == 0:
            world.windows.frame(world.now_ns)


def test_what_was_counted_before_the_first_frame_belongs_to_no_window(world):
    world.add("a")
    world.ingest("a", *[Result.OK] * 9)
    world.windows.frame(world.now_ns)
    world.wait(5)
    world.ingest("a", Result.FAIL)
    world.windows.frame(world.now_ns)
    assert sums(world, "1m").runs.sum(axis=0).tolist() == [0, 0, 1, 0, 0]
    assert sums(world, None).runs.sum(axis=0).tolist() == [9, 0, 1, 0, 0]


def test_a_young_process_covers_only_its_own_life(world):
    world.add("a")
    world.windows.frame(world.now_ns)
    run_for(world, 20)
    assert {window: sums(world, window).seconds for window in WINDOWS} == {"1m": 20, "5m": 20, "1h": 20}
    assert {window: sums(world, window).runs.sum() for window in WINDOWS} == {"1m": 20, "5m": 20, "1h": 20}


def test_windows_forget_what_is_older(world):
    world.add("a")
    world.windows.frame(world.now_ns)
    run_for(world, 100, result=Result.FAIL)
    run_for(world, 120, result=Result.OK)
    assert sums(world, "1m").runs.sum(axis=0)[Result.FAIL] == 0
    assert sums(world, "5m").runs.sum(axis=0)[Result.FAIL] == 100


def test_nothing_is_counted_before_the_first_frame(world):
    world.add("a")
    world.ingest("a", Result.OK)
    found = sums(world, "1h")
    assert (found.runs.sum(), found.histograms.sum(), found.seconds) == (0, 0, 0.0)


def test_frames_stay_few_over_a_day(world):
    world.add("a")
    most = 0
    for _ in range(24 * 720):
        world.windows.frame(world.now_ns)
        most = max(most, world.windows.frames)
        world.wait(FRAME_S)
    assert most <= 60


def test_readers_who_come_often_make_no_more_frames(world):
    world.add("a")
    for _ in range(3000):
        world.windows.frame(world.now_ns)
        world.wait(0.1)
    assert world.windows.frames <= 60


def test_a_frame_in_the_past_is_one_of_now(world):
    world.add("a")
    world.windows.frame(world.now_ns)
    run_for(world, 10)
    newest_ns = world.windows.merged_ns
    world.windows.frame(newest_ns - 10**9)
    assert world.windows.merged_ns == newest_ns
    assert sums(world, "1m").seconds == 10


def test_an_unknown_window_names_those_there_are(world):
    with pytest.raises(ValueError, match=r"'2m' does not exist; there are 1m, 5m, 1h"):
        sums(world, "2m")


def test_a_window_outlives_the_probes_that_counted_in_it(world):
    world.add("a", namespace="n1")
    world.windows.frame(world.now_ns)
    run_for(world, 10)
    world.remove("a")
    world.wait(5)
    world.windows.frame(world.now_ns)
    assert sums(world, "1m").runs.sum() == 10


def test_a_group_that_comes_later_counts_from_then(world):
    world.add("a", namespace="n1")
    world.windows.frame(world.now_ns)
    run_for(world, 10)
    world.add("b", namespace="n2")
    run_for(world, 5, name="b")
    first, second = world.catalog["a"].group, world.catalog["b"].group
    runs = sums(world, "1m").runs
    assert (runs[first].sum(), runs[second].sum()) == (10, 5)


def test_timeouts_of_a_window_lie_in_the_overflow(world):
    world.add("a")
    world.windows.frame(world.now_ns)
    world.ingest("a", Result.TIMEOUT, Result.TIMEOUT, Result.OK, latency_s=0.004)
    world.wait(5)
    world.windows.frame(world.now_ns)
    buckets = np.flatnonzero(sums(world, "5m").histograms.sum(axis=0)).tolist()
    assert buckets == [histogram.bucket(4_000_000), HIST_OVERFLOW]


steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(Result),
        st.sampled_from([1e-5, 0.003, 2.0]),
        st.integers(0, 9),  # results
        st.sampled_from([0.01, 0.1, 4.9, 5.0, 31.0, 290.0, 3700.0]),  # seconds until the next frame
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60)
@given(steps=steps, repeats=st.integers(1, 12))
def test_any_window_counts_the_events_of_the_span_it_tells(make_world, steps, repeats):
    world = make_world(frame_s=FRAME_S)
    for name in ("a", "b", "c"):
        world.add(name, namespace=name)
    world.windows.frame(world.now_ns)
    began_ns = world.now_ns
    events = []
    for name, result, latency_s, times, wait_s in steps * repeats:
        world.wait(wait_s)
        if times:
            world.ingest(name, *[result] * times, latency_s=latency_s)
        events.append((world.now_ns, name, result, latency_s, times))
        world.windows.frame(world.now_ns)
    moments = [event[0] for event in events]
    for window, seconds in WINDOWS.items():
        found = sums(world, window)
        start_ns = world.now_ns - round(found.seconds * 1e9)
        # A frame is longer than the edge only when the host was suspended that long.
        edge_s = max(EDGE_S[window], *(wait_s for *_, wait_s in steps))
        assert start_ns <= max(began_ns, world.now_ns - round(seconds * 1e9))
        assert start_ns >= max(began_ns, world.now_ns - round((seconds + edge_s) * 1e9))
        runs = np.zeros((len(world.catalog.groups), len(Result)), int)
        buckets = np.zeros((len(world.catalog.groups), HIST_BUCKETS), int)
        for _, name, result, latency_s, times in events[bisect_right(moments, start_ns) :]:
            group = world.catalog[name].group
            runs[group, result] += times
            if result is not Result.ERROR:
                buckets[group, HIST_OVERFLOW if result is Result.TIMEOUT else histogram.bucket(round(latency_s * 1e9))] += times
        assert found.runs.tolist() == runs.tolist()
        assert found.histograms.tolist() == buckets.tolist()
