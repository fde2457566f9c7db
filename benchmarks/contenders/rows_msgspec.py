"""The same snapshot as one object a probe, encoded by msgspec: what the endpoints do for a page."""

from typing import Any

import msgspec

from benchmarks.measure import Meter
from benchmarks.shared.populated import populated
from meshkit_fastprobe.server.envelope import probe_item

TURNS = 3


def run(workload: dict[str, Any]) -> dict[str, Any]:
    snapshot = populated(workload["probes"], workload["seed"]).snapshot()
    encoder = msgspec.msgpack.Encoder()
    rows = range(workload["probes"])
    with Meter() as meter:
        for _ in range(TURNS):
            encoded = encoder.encode([probe_item(snapshot.view(row)) for row in rows])
    return {"encode_ms": meter.cpu_s / TURNS * 1e3, "mib": len(encoded) / 2**20}
