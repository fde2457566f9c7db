"""Ingest and the readers of the table."""

from __future__ import annotations

import numpy as np
import pytest

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.model import Lane

PROBES = 10_000
GROUPS = 100
BATCH = 10_000


@pytest.fixture
def table() -> Table:
    table = Table(PROBES, GROUPS)
    for i in range(PROBES):
        table.add(i % GROUPS, 1000, 500, 0, 0, Lane.NATIVE, 2, 3, 1)
    return table


@pytest.fixture
def records(table: Table):
    rng = np.random.default_rng(7)
    records = np.zeros(BATCH, layout.RECORD)
    records["slot"] = rng.integers(0, PROBES, BATCH)
    records["generation"] = table.column("generation")[records["slot"]]
    records["started_ns"] = 1_000_000_000
    records["latency_ns"] = rng.lognormal(14, 1, BATCH)
    records["result"] = rng.choice(5, BATCH, p=[0.95, 0.01, 0.02, 0.01, 0.01])
    return records


def test_ingest_ten_thousand_results(benchmark, table, records):
    transitions = np.zeros(BATCH, layout.TRANSITION)
    benchmark(table.ingest, records, BATCH, transitions)
    assert table.check() is None


def test_merge_a_hundred_groups(benchmark, table, records):
    table.ingest(records, BATCH, np.zeros(BATCH, layout.TRANSITION))
    histograms = np.zeros((GROUPS, layout.HIST_BUCKETS), np.uint64)
    runs = np.zeros((GROUPS, 5), np.uint64)
    benchmark(table.merge_groups, GROUPS, histograms, runs)
    assert histograms.sum() > 0


def test_add_and_remove(benchmark):
    table = Table(PROBES, GROUPS)

    def add_and_remove():
        slot, generation = table.add(0, 1000, 500, 0, 0, Lane.NATIVE, 2, 3, 1)
        table.remove(slot, generation)

    benchmark(add_and_remove)
    assert table.count == 0
