"""Snapshot columns, encoded as MessagePack arrays."""

from typing import Any

from benchmarks.measure import Meter
from benchmarks.shared.populated import populated

TURNS = 50


def run(workload: dict[str, Any]) -> dict[str, Any]:
    diag = populated(workload["probes"], workload["seed"])
    size = len(diag.snapshot().to_msgpack_columns())
    with Meter() as taking:
        for _ in range(TURNS):
            snapshot = diag.snapshot()
    with Meter() as encoding:
        for _ in range(TURNS):
            snapshot.to_msgpack_columns()
    return {"encode_ms": encoding.cpu_s / TURNS * 1e3, "take_ms": taking.cpu_s / TURNS * 1e3, "mib": size / 2**20}
