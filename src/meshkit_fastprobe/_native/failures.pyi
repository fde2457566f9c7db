from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class Failures:
    """The last eight failures of each of the `probes` probes that failed last, with their phases. One thread."""

    def __new__(cls, capacity: int, probes: int) -> Failures: ...
    def take(self, records: NDArray[np.void], n: int) -> None:
        """The failures among the first n records (layout.RECORD) of a lane that sends no traces."""
    def tell(self, slot: int, generation: int, failure: NDArray[np.void]) -> None:
        """A failure (one layout.FAILURE) of which more is known than its record, which is still to come, will say."""
    def forget(self, slot: int) -> None:
        """The probe of this slot is gone."""
    def read(self, slot: int, generation: int) -> NDArray[np.void]:
        """The remembered failures of a probe, oldest first, as layout.FAILURE."""
    @property
    def probes(self) -> int:
        """Probes that have failures now."""
    @property
    def evicted(self) -> int:
        """Probes that made room for others so far."""
    def check(self) -> str | None:
        """None, or the first broken invariant."""
