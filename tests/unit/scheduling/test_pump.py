"""What leaves the engine arrives in the table, however much it is."""

from __future__ import annotations

import numpy as np
import pytest

from meshkit_fastprobe import Diagnostics, Settings
from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe.scheduling.pump import DRAIN_RECORDS, DRAINS_IN_ONE_GO, Pump


class Ring:
    """An engine that has so many results left of one probe."""

    def __init__(self, left: int, result: np.void) -> None:
        self.left = left
        self._result = result

    def drain(self, out: np.ndarray) -> int:
        n = min(self.left, len(out))
        out[:n] = self._result
        self.left -= n
        return n

    def drain_traces(self, _failures: Failures) -> list[dict[str, object]]:
        return []

    def flush(self) -> bool:
        return False


@pytest.mark.parametrize(
    "left", [0, 1, DRAIN_RECORDS, DRAINS_IN_ONE_GO * DRAIN_RECORDS, 16 * DRAIN_RECORDS, 16 * DRAIN_RECORDS + 1]
)
def test_a_full_ring_is_taken_whole_in_several_goes(left):
    diag = Diagnostics(Settings(host="test"))

    async def check() -> None: ...

    diag.probe("a", interval=1, timeout=0.5)(check)
    registration = diag.catalog["a"]
    result = np.zeros(1, layout.RECORD)
    result["slot"], result["generation"], result["started_ns"] = registration.slot, registration.generation, 1
    taken: list[int] = []
    pump = Pump(
        Ring(left, result[0]),
        diag.table,
        RecordBatch(8),
        Failures(8, 8),
        notify_s=0.005,
        on_notices=lambda _: None,
        on_transitions=lambda _: None,
        on_ingested=lambda records: taken.append(len(records)),
        on_explained=lambda _: None,
    )
    goes = 1
    while pump.drain():
        goes += 1
    assert sum(taken) == left
    assert diag.snapshot()["a"].runs["ok"] == left
    assert goes == left // (DRAINS_IN_ONE_GO * DRAIN_RECORDS) + 1
