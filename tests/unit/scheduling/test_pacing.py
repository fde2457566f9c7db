from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.scheduling.pacing import GRID_NS, NEVER, first_run, grid_ns, next_on_phase, runs_due, spread

S = 1_000_000_000


def test_ten_thousand_probes_of_one_interval_start_as_evenly_as_a_ruler():
    fractions = spread([f"tcp:10.0.{i // 250}.{i % 250}:80" for i in range(10_000)], 0.3)
    starts, _ = np.histogram(fractions, bins=1000, range=(0, 1))  # 10 ms each at an interval of 10 s
    assert starts.max() <= 11
    assert starts.min() >= 9


def test_the_order_of_registration_does_not_matter():
    names = [f"probe-{i}" for i in range(1000)]
    shuffled = random.Random(5).sample(names, len(names))
    phases = dict(zip(names, spread(names, 0.5), strict=True))
    assert phases == dict(zip(shuffled, spread(shuffled, 0.5), strict=True))


def test_one_more_name_moves_the_others_by_no_more_than_one_place():
    names = [f"probe-{i}" for i in range(1000)]
    before = spread(names, 0.5)
    after = spread([*names, "newcomer"], 0.5)[:-1]
    assert np.abs(after - before).max() < 2 / len(names)


def test_a_subset_of_a_fibonacci_stride_does_not_collapse():
    fractions = spread([f"probe-{i}" for i in range(10_000)], 0.0)[::987]
    starts, _ = np.histogram(fractions, bins=4, range=(0, 1))
    assert starts.min() >= 1


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**13), st.integers(0, 10**18))
def test_the_next_time_on_a_phase_is_within_one_interval_and_on_the_same_phase(fraction, interval_ns, now_ns):
    due_ns = next_on_phase(fraction, interval_ns, now_ns)
    assert now_ns <= due_ns < now_ns + interval_ns
    grid = grid_ns(interval_ns)
    assert due_ns % interval_ns == int(fraction * interval_ns) // grid * grid


@given(st.integers(1, 10**13))
def test_the_grid_is_a_hundredth_of_the_interval_at_most_and_never_coarser_than_ten_milliseconds(interval_ns):
    grid = grid_ns(interval_ns)
    assert grid == 1 or grid <= interval_ns / 100
    assert grid <= GRID_NS == 10_000_000


def test_probes_of_a_second_or_more_start_together_every_ten_milliseconds():
    due_ns = np.array([next_on_phase(fraction, 10**9, 12_345) for fraction in spread([f"p{i}" for i in range(5_000)], 0.3)])
    moments, starts = np.unique(due_ns, return_counts=True)
    assert set((moments % GRID_NS).tolist()) == {0}
    assert len(moments) == 100
    assert (starts.min(), starts.max()) == (50, 50)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**13), st.integers(0, 10**18), st.integers(0, 10**11))
def test_the_first_run_comes_within_the_window_or_the_interval(fraction, interval_ns, now_ns, window_ns):
    due_ns, first_ns = first_run(fraction, interval_ns, now_ns, window_ns)
    earliest = due_ns if first_ns == NEVER else min(due_ns, first_ns)
    assert now_ns <= earliest <= now_ns + min(window_ns, interval_ns)


@given(
    due_ns=st.integers(0, 100 * S),
    first_ns=st.one_of(st.just(NEVER), st.integers(0, 100 * S)),
    interval_ns=st.integers(S // 10, 20 * S),
    start_ns=st.integers(0, 100 * S),
    length_ns=st.integers(0, 60 * S),
)
def test_runs_due_are_those_that_counting_one_by_one_finds(due_ns, first_ns, interval_ns, start_ns, length_ns):
    stop_ns = start_ns + length_ns
    naive = int(first_ns != NEVER and start_ns <= first_ns < stop_ns)
    moment = due_ns
    while moment < stop_ns:
        naive += moment >= start_ns
        moment += interval_ns
    assert runs_due(due_ns, first_ns, interval_ns, start_ns, stop_ns) == naive
