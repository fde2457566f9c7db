import numpy as np
from numpy.typing import NDArray

def bucket(latency_ns: int) -> int:
    """The bucket a latency falls into."""

def place(bucket: int, *, compact: bool) -> int:
    """Where a row of a table counts this bucket: elsewhere when the table is compact."""

def fine(rows: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Rows of a table (n, 216), or of a compact one (n, 109), as (n, 216): a compact bucket in the upper of its two."""

def upper_bounds_s() -> NDArray[np.float64]:
    """The 216 inclusive upper bounds in seconds; the last is infinite."""

def merge(
    rows: NDArray[np.uint16],
    group_of_row: NDArray[np.uint32],
    n_groups: int,
    *,
    order: NDArray[np.uint32] | None = None,
    used: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint64]:
    """Sum rows (n, 216) per group: (n_groups, 216). Rows of groups >= n_groups are passed over."""

def quantiles(rows: NDArray[np.uint64], q: NDArray[np.float64], *, compact: bool = False) -> NDArray[np.float64]:
    """(n, len(q)) seconds: nan for an empty row, inf in the overflow. q ascending in 0..1. compact: the rows come of such."""
