"""What history takes of the event loop at 100,000 probes, in CPU time of its thread: other work does not count."""

from __future__ import annotations

import time

import numpy as np
import pytest

from meshkit_fastprobe._native import layout
from meshkit_fastprobe.history.counting import Counting
from meshkit_fastprobe.history.sampler import HISTOGRAMS, Sampler
from meshkit_fastprobe.history.store import Store
from tests.unit.aggregation.conftest import World

pytestmark = [pytest.mark.hyperscale, pytest.mark.once, pytest.mark.once]
PROBES = 100_000
SLICE_S = 0.005


class Clocks:
    def __init__(self, world):
        self._world = world

    def now(self):
        return self._world.now_ns, self._world.wall_s


def slices(turns):
    """CPU seconds of each, and what it came to."""
    took = []
    while True:
        began = time.thread_time()
        try:
            next(turns)
        except StopIteration as stop:
            took.append(time.thread_time() - began)
            return took, stop.value
        took.append(time.thread_time() - began)


def test_a_minute_of_100_000_probes_is_copied_in_slices_and_kept_in_little(tmp_path):
    world = World(PROBES)
    for number in range(PROBES):
        world.add(f"p{number}", namespace=f"n{number % 20}")
    sampler = Sampler(world.table, world.catalog, world.windows, Clocks(world))
    counting = Counting(slices(sampler.take())[1])
    store = Store(tmp_path / "history.db", keep_s=90 * 86_400.0, max_bytes=1 << 30)
    records = np.zeros(PROBES, layout.RECORD)
    records["slot"], records["generation"] = np.arange(PROBES), world.table.column("generation")
    sizes, worst_s = [], []
    for _ in range(3):
        for _ in range(6):
            world.wait(10)
            records["started_ns"], records["latency_ns"] = world.now_ns, 2_000_000
            world.table.ingest(records, PROBES, np.zeros(PROBES, layout.TRANSITION))
        took, sample = slices(sampler.take())
        worst_s.append(max(took[1:]))  # the first is the merge of the windows, which happens every few seconds anyway
        store.append(counting.take(sample, lambda named: store.number(named, world.wall_s)))
        sizes.append(store.used_bytes)
    part = time.thread_time()
    for first in range(0, sampler.slots, HISTOGRAMS):
        sampler.histograms(first)
    per_slice_s = (time.thread_time() - part) / (sampler.slots / HISTOGRAMS)
    store.close()
    assert min(worst_s) < SLICE_S
    assert per_slice_s < SLICE_S
    assert sizes[2] - sizes[1] < 200_000  # a minute at rest
