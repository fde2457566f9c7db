from collections.abc import Sequence
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

_Column: TypeAlias = tuple[bytes, bytes, NDArray[Any], NDArray[np.int16] | None]
"""Head ("name{"), tail ("} " or ',result="ok"} '), a contiguous column of uint8, uint32, uint64 or float64, and for bytes 256
values to print instead. A NaN, and a negative value of the lookup, mean: no line."""

@final
class Labels:
    """The label texts of the rows of a table, escaped once."""

    def __new__(cls, rows: int) -> Labels: ...
    @property
    def rows(self) -> int: ...
    def stale(self, generation: NDArray[np.uint32], group: NDArray[np.uint32], start: int, end: int) -> tuple[list[int], int]:
        """Rows in use whose labels are missing or old, at most 512, and where to go on looking."""
    def put(self, row: int, generation: int, group: int, pairs: tuple[tuple[str, str], ...]) -> None:
        """Keep the labels a row wears as of this generation and group."""
    @property
    def nbytes(self) -> int:
        """Bytes held in C memory."""
    def check(self) -> str | None: ...

@final
class Rows:
    """Which rows are in use and whose labels they wear; holds the columns it was given."""

    def __new__(cls, labels: Labels, generation: NDArray[np.uint32], group: NDArray[np.uint32]) -> Rows: ...
    @property
    def length(self) -> int: ...

@final
class Series:
    """One line a row and column; holds the columns it was given."""

    def __new__(cls, *columns: _Column) -> Series: ...
    @property
    def length(self) -> int: ...

@final
class Buckets:
    """A histogram a row; holds the columns it was given."""

    def __new__(
        cls,
        name: str,
        edges: Sequence[tuple[str, int]],
        counts: NDArray[np.uint32] | NDArray[np.uint64],
        sum_s: NDArray[np.float64],
        used: NDArray[np.uint8] | None = None,
    ) -> Buckets:
        """edges: (le as text, number of the last bucket below it), ascending."""
    @property
    def length(self) -> int: ...

@final
class Page:
    """A bounded piece of text under construction. One row that is larger than the whole page makes it grow."""

    def __new__(cls, capacity: int) -> Page: ...
    def __len__(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    def write(self, text: bytes) -> None: ...
    def series(self, rows: Rows, series: Series, start: int, end: int) -> int:
        """Lines of rows [start, end) until the page is full; the row to go on with, `end` when all are written. No GIL."""
    def buckets(self, rows: Rows, buckets: Buckets, start: int, end: int) -> int:
        """The same for histograms."""
    def take(self) -> bytes:
        """What was written; the page is empty afterwards."""
