"""Histogram buckets, merges and quantiles beside their definitions, in fractions and plain Python."""

from __future__ import annotations

import math
from bisect import bisect_left
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.layout import HIST_BUCKETS, HIST_COMPACT, HIST_OVERFLOW

PER_OCTAVE = 8
BOUNDS_S = histogram.upper_bounds_s()

latencies_ns = st.integers(0, 2**64 - 1) | st.integers(0, 40).flatmap(lambda bits: st.integers(0, 1 << bits))
small_rows = st.lists(st.lists(st.integers(0, 65_535), min_size=6, max_size=6), min_size=1, max_size=20)


def exact_bound_ns(bucket: int) -> float:
    return 1e9 * 2.0 ** ((bucket - offset()) / PER_OCTAVE)


def offset() -> int:
    """Which power of the base the first bound is, by asking for the nearest."""
    return -round(math.log2(BOUNDS_S[0]) * PER_OCTAVE)


def test_bounds_are_eighths_of_octaves_from_a_microsecond_to_a_hundred_seconds():
    finite = BOUNDS_S[:-1]
    assert math.isinf(BOUNDS_S[-1])
    assert len(BOUNDS_S) == HIST_BUCKETS
    assert finite[0] <= 1e-6
    assert finite[-1] >= 100
    np.testing.assert_allclose(finite, [exact_bound_ns(bucket) / 1e9 for bucket in range(HIST_BUCKETS - 1)], rtol=1e-12)


@given(latencies_ns)
@example(0)
@example(2**63)
@example(2**64 - 1)
def test_a_latency_falls_into_the_first_bucket_whose_bound_it_does_not_exceed(latency_ns: int):
    """Whole nanoseconds never equal a bound, unless it is a power of two of a second."""
    bucket = histogram.bucket(latency_ns)
    bounds_ns = [Fraction(exact_bound_ns(at)) for at in range(HIST_BUCKETS - 1)]
    assert bucket == bisect_left(bounds_ns, Fraction(latency_ns))


@pytest.mark.parametrize("bucket", range(HIST_BUCKETS - 1))
def test_both_sides_of_every_bound(bucket: int):
    below, above = math.floor(exact_bound_ns(bucket)), math.floor(exact_bound_ns(bucket)) + 1
    assert histogram.bucket(below) == bucket
    assert histogram.bucket(above) == bucket + 1


def spread(rows: list[list[int]]) -> np.ndarray:
    """A few counters, from the first bucket to the overflow."""
    out = np.zeros((len(rows), HIST_BUCKETS), np.uint16)
    out[:, [0, 1, 60, 100, HIST_OVERFLOW - 1, HIST_OVERFLOW]] = rows
    return out


@given(small_rows, st.data())
def test_a_merge_is_the_sum_of_its_rows(rows: list[list[int]], data: st.DataObject):
    counters = spread(rows)
    groups = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(rows), max_size=len(rows))), np.uint32)
    merged = histogram.merge(counters, groups, 4)
    for group in range(4):
        assert merged[group].tolist() == counters[groups == group].sum(axis=0, dtype=np.uint64).tolist()


@given(st.lists(st.integers(0, 2 * 10**11), min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_value_it_stands_for(values_ns: list[int], share: float):
    counters = np.zeros((1, HIST_BUCKETS), np.uint64)
    for value_ns in values_ns:
        counters[0, histogram.bucket(value_ns)] += 1
    found_s = histogram.quantiles(counters, np.array([share]))[0, 0]
    rank = max(math.ceil(share * len(values_ns)), 1)
    bucket = histogram.bucket(sorted(values_ns)[rank - 1])
    lower_s = BOUNDS_S[bucket - 1] if bucket else 0.0
    assert lower_s <= found_s <= BOUNDS_S[bucket]


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=60), st.floats(0, 1))
def test_a_compact_row_errs_by_a_tenth_at_most(values_ns: list[int], share: float):
    counters = np.zeros((1, HIST_COMPACT), np.uint16)
    for value_ns in values_ns:
        counters[0, histogram.place(histogram.bucket(value_ns), compact=True)] += 1
    found_s = histogram.quantiles(histogram.fine(counters), np.array([share]), compact=True)[0, 0]
    value_s = sorted(values_ns)[max(math.ceil(share * len(values_ns)), 1) - 1] / 1e9
    assert found_s / 1.0906 <= value_s <= found_s * 1.0906 or value_s <= BOUNDS_S[0]


def test_a_row_without_values_has_no_quantiles():
    assert np.isnan(histogram.quantiles(np.zeros((1, HIST_BUCKETS), np.uint64), np.array([0.5]))).all()
