"""What was counted in one stretch of time: the difference of two merges.

Kept sparse, because most buckets of most groups stand still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray


class Sparse(msgspec.Struct, frozen=True, eq=False):
    """The cells of a (groups, width) array that are not zero."""

    index: NDArray[np.uint32]
    """Into the flattened array, ascending."""
    count: NDArray[np.uint64]

    @classmethod
    def of(cls, dense: NDArray[np.uint64]) -> Sparse:
        flat = dense.reshape(-1)
        index = np.flatnonzero(flat)
        return cls(index.astype(np.uint32), flat[index])

    @classmethod
    def difference(cls, later: NDArray[np.uint64], earlier: NDArray[np.uint64]) -> Sparse:
        """What grew between two contiguous arrays of one shape."""
        after, before = later.reshape(-1), earlier.reshape(-1)
        index = np.flatnonzero(after != before)
        return cls(index.astype(np.uint32), after[index] - before[index])

    @classmethod
    def total(cls, parts: Sequence[Sparse]) -> Sparse:
        """Their sum, by way of a dense array: merging sorted lists would be a sort, this is a gather and a scatter."""
        cells = max((int(part.index[-1]) + 1 for part in parts if part.index.size), default=0)
        dense = np.zeros(cells, np.uint64)
        for part in parts:
            dense[part.index] += part.count
        return cls.of(dense)


class Frame(msgspec.Struct, frozen=True, eq=False):
    """Counted after start_ns and up to end_ns on the scheduling clock."""

    start_ns: int
    end_ns: int
    buckets: Sparse
    runs: Sparse

    @classmethod
    def join(cls, frames: Sequence[Frame]) -> Frame:
        """One frame for several neighbours, oldest first."""
        if len(frames) == 1:
            return frames[0]
        return cls(
            frames[0].start_ns,
            frames[-1].end_ns,
            Sparse.total([frame.buckets for frame in frames]),
            Sparse.total([frame.runs for frame in frames]),
        )


def fold(parts: Sequence[Sparse], row_of_group: NDArray[np.intp], rows: int, width: int) -> NDArray[np.uint64]:
    """Sum per row, where group g belongs to row_of_group[g]: (rows, width). Exact up to 2**53 a cell."""
    shift = (row_of_group - np.arange(len(row_of_group))) * width
    sums: NDArray[Any] = np.zeros(rows * width)
    for part in parts:
        if part.index.size:
            cell = part.index + shift[part.index // np.uint32(width)]
            sums += np.bincount(cell, part.count, rows * width)
    return sums.astype(np.uint64).reshape(rows, width)
