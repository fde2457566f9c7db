"""NumPy dtypes of the records that cross the C boundary; a test compares sizes and offsets with the C structs."""

from __future__ import annotations

from typing import Final

import numpy as np

RECORD: Final = np.dtype(
    [
        ("slot", "<u4"),
        ("generation", "<u4"),
        ("started_ns", "<u8"),
        ("latency_ns", "<u8"),
        ("lag_us", "<u4"),
        ("detail", "<u2"),
        ("result", "u1"),
        ("reason", "u1"),
    ]
)
"""fp_record: what every lane writes."""

TRANSITION: Final = np.dtype(
    [
        ("slot", "<u4"),
        ("generation", "<u4"),
        ("at_ns", "<u8"),
        ("before", "u1"),
        ("after", "u1"),
        ("reason", "u1"),
        ("result", "u1"),
        ("detail", "<u2"),
        ("reserved", "<u2"),
    ],
    align=True,
)
"""fp_transition: what ingest hands out."""

RECENT: Final = np.dtype([("at_cs", "<u4"), ("latency_s", "<f4"), ("detail", "<u2"), ("result", "u1"), ("reason", "u1")])
"""fp_recent: one remembered result."""

FAILURE: Final = np.dtype(
    [
        ("started_ns", "<u8"),
        ("latency_us", "<u4"),
        ("connect_us", "<u4"),
        ("tls_us", "<u4"),
        ("first_byte_us", "<u4"),
        ("rtt_us", "<u4"),
        ("detail", "<u2"),
        ("status", "<u2"),
        ("result", "u1"),
        ("reason", "u1"),
        ("retransmissions", "u1"),
        ("flags", "u1"),
        ("reserved", "<u4"),
    ]
)
"""fp_failure: one remembered failure."""

UNREACHED: Final = 0xFFFFFFFF
"""In a column of microseconds: the run did not come to this phase."""

TRACE_EXPLAINED: Final = 1
TRACE_KEPT: Final = 2
TRACE_RETRIED: Final = 4
TRACE_HALF: Final = 8

PASSIVE: Final = 0x80
EVENT_DUE: Final = 16
EVENT_DEADLINE: Final = 17
EVENT_SKIPPED: Final = 18
HIST_BUCKETS: Final = 216
HIST_COMPACT: Final = 109
"""Buckets of a compact row."""
HIST_OVERFLOW: Final = 215
NO_RESULT: Final = 255
