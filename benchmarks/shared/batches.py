"""Results as a host would see them: ten rounds, each of them every probe once, in an order of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.model import Lane

RISE, FALL = 2, 3
INTERVAL_NS = 10_000_000_000


def filled_table(probes: int, groups: int) -> Table:
    """Groups lie next to each other, as a mass registration leaves them."""
    table = Table(probes, groups)
    for probe in range(probes):
        table.add(probe * groups // probes, 10_000, 1_000, 0, 0, Lane.NATIVE, RISE, FALL, 1)
    return table


def rounds(workload: dict[str, Any], first: int = 0) -> NDArray[np.void]:
    """`results` records over `probes` slots, nine in ten of them OK, latencies lognormal around 2 ms."""
    random = np.random.default_rng(workload["seed"] + first)
    n, probes = workload["results"], workload["probes"]
    records = np.zeros(n, layout.RECORD)
    for start in range(0, n, probes):
        records["slot"][start : start + probes] = random.permutation(probes)
        records["started_ns"][start : start + probes] = (first + start // probes + 1) * INTERVAL_NS
    records["generation"] = 1
    records["latency_ns"] = random.lognormal(np.log(2e6), 1.0, n)
    records["lag_us"] = random.integers(0, 2_000, n)
    records["result"] = random.choice(4, n, p=[0.9, 0.02, 0.06, 0.02])
    return records
