"""Latency histograms as rows of counters, outside of a table: for windows, tests and benchmarks."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

import numpy as np

from meshkit_fastprobe._native.core cimport (
    FP_HIST_BUCKETS,
    FP_HIST_COMPACT,
    fp_hist_bucket,
    fp_hist_bucket_at,
    fp_hist_merge,
    fp_hist_place,
    fp_hist_quantiles,
    fp_hist_upper_bound_s,
    fp_ns,
)


def bucket(fp_ns latency_ns):
    """The bucket a latency falls into."""
    return fp_hist_bucket(latency_ns)


def place(uint32_t bucket, *, bint compact):
    """Where a row of a table counts this bucket: elsewhere when the table is compact."""
    return fp_hist_place(bucket, compact)


_BUCKET_AT = np.array([fp_hist_bucket_at(number, True) for number in range(FP_HIST_COMPACT)], np.intp)


def fine(rows):
    """Rows of a table (n, 216), or of a compact one (n, 109), as (n, 216) uint64: a compact bucket in the upper of its two."""
    if rows.shape[1] == FP_HIST_BUCKETS:
        return rows.astype(np.uint64)
    spread = np.zeros((len(rows), FP_HIST_BUCKETS), np.uint64)
    spread[:, _BUCKET_AT] = rows
    return spread


def upper_bounds_s():
    """The 216 inclusive upper bounds in seconds; the last is infinite."""
    return np.array([fp_hist_upper_bound_s(number) for number in range(FP_HIST_BUCKETS)])


cdef int require_rows(shape) except -1:
    if shape[1] != FP_HIST_BUCKETS:
        raise ValueError(f"a row has {FP_HIST_BUCKETS} buckets, not {shape[1]}")
    return 0


def merge(
    const uint16_t[:, ::1] rows not None,
    const uint32_t[::1] group_of_row not None,
    uint32_t n_groups,
    *,
    const uint32_t[::1] order=None,
    const uint8_t[:, ::1] used=None,
):
    """Sum rows (n, 216) per group: (n_groups, 216). Rows of groups >= n_groups are passed over."""
    cdef uint32_t n_rows = <uint32_t>rows.shape[0]
    cdef const uint32_t *order_at = NULL
    cdef const uint8_t *used_at = NULL
    cdef uint64_t[:, ::1] sums
    require_rows(rows.shape)
    if group_of_row.shape[0] != n_rows:
        raise ValueError(f"{n_rows} rows, but {group_of_row.shape[0]} groups for them")
    merged = np.zeros((n_groups, FP_HIST_BUCKETS), np.uint64)
    if n_rows == 0 or n_groups == 0:
        return merged
    if order is not None:
        if order.shape[0] != n_rows or int(np.max(order)) >= n_rows:
            raise ValueError(f"an order of {n_rows} rows names each of them")
        order_at = &order[0]
    if used is not None:
        if used.shape[0] != n_rows or used.shape[1] != 2 or int(np.max(used[:, 1])) >= FP_HIST_BUCKETS:
            raise ValueError("used holds the first and the last bucket of each row")
        used_at = &used[0, 0]
    sums = merged
    with nogil:
        fp_hist_merge(&rows[0, 0], n_rows, order_at, &group_of_row[0], used_at, n_groups, &sums[0, 0])
    return merged


def quantiles(const uint64_t[:, ::1] rows not None, const double[::1] q not None, *, bint compact=False):
    """(n, len(q)) seconds: nan for an empty row, inf in the overflow. q ascending in 0..1. compact: the rows come of such."""
    cdef uint32_t n_rows = <uint32_t>rows.shape[0]
    cdef uint32_t n_q = <uint32_t>q.shape[0]
    cdef double[:, ::1] out
    cdef uint32_t k
    require_rows(rows.shape)
    for k in range(n_q):
        if not 0 <= q[k] <= 1 or (k and q[k] < q[k - 1]):
            raise ValueError("quantiles are ascending numbers in 0..1")
    result = np.empty((n_rows, n_q))
    if n_rows == 0 or n_q == 0:
        return result
    out = result
    with nogil:
        fp_hist_quantiles(&rows[0, 0], n_rows, compact, &q[0], n_q, &out[0, 0])
    return result
