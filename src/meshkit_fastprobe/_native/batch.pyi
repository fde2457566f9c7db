from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class RecordBatch:
    """A bounded batch of layout.RECORD, written from Python and emptied by ingest."""

    def __new__(cls, capacity: int) -> RecordBatch: ...
    @property
    def array(self) -> NDArray[np.void]: ...
    @property
    def capacity(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    def append(
        self, slot: int, generation: int, started_ns: int, latency_ns: int, lag_ns: int, detail: int, result: int, reason: int
    ) -> bool:
        """Write one record; False, and counted in `dropped`, when the batch is full.

        detail: any int, for a probe or its target may have chosen it; what there is no room for is the nearest that there is.
        """
    def clear(self) -> None:
        """Forget what was taken; `array` is written anew from its start."""
