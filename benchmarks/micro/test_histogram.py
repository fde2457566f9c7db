"""Buckets and quantiles."""

from __future__ import annotations

import numpy as np

from meshkit_fastprobe._native import histogram, layout

ROWS = 1_000


def test_bucket_of_one_latency(benchmark):
    assert benchmark(histogram.bucket, 1_234_567) > 0


def test_quantiles_of_a_thousand_rows(benchmark):
    rows = np.random.default_rng(7).poisson(3, (ROWS, layout.HIST_BUCKETS)).astype(np.uint64)
    values = benchmark(histogram.quantiles, rows, np.array([0.5, 0.9, 0.99]))
    assert values.shape == (ROWS, 3)
