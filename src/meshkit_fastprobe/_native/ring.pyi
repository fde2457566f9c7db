from typing import final

import numpy as np
from numpy.typing import DTypeLike, NDArray

@final
class Ring:
    """A bounded single-producer single-consumer ring of elements of one dtype, for tests and benchmarks.

    The engine has its own. One thread may push while another pops: both release the GIL for the copy.
    """

    def __new__(cls, slots: int, dtype: DTypeLike) -> Ring:
        """ValueError unless slots is a power of two and the dtype plain data."""
    @property
    def dtype(self) -> np.dtype[np.void]: ...
    @property
    def slots(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    def push(self, elements: NDArray[np.generic], *, count_drops: bool = True) -> int:
        """How many were taken; the rest is counted in `dropped`, unless told otherwise."""
    def pop(self, out: NDArray[np.generic]) -> int:
        """How many were copied to the start of out."""
    def check(self) -> str | None:
        """None, or the first broken invariant. While neither side is at work."""
