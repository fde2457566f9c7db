"""What a group of probes did in a span of time, and how neighbours are merged: exactly, since everything in it is a sum.

Spans begin at whole minutes and whole quarters of an hour of the wall clock. A span says how much of it was covered: a host
that came or went in the middle of one covers a part of it, and a span in which there was no host does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.layout import HIST_BUCKETS
from meshkit_fastprobe.model import Result, State

FINE_S: Final = 60
COARSE_S: Final = 900
RESULTS: Final = len(Result)
STATES: Final = len(State)

Tags: TypeAlias = tuple[str, str, str]
"""cluster, namespace, kind: what history tells apart. Labels would multiply it."""
OTHERS: Final[Tags] = ("", "", "")
"""Where the groups beyond the bound are counted."""


class GroupSpan(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One group in one span. `probes` and `states` are of its end; state_ms sums up over the probes."""

    covered_ms: int
    probes: int
    states: tuple[int, ...]
    runs: tuple[int, ...]
    state_ms: tuple[int, ...]
    transitions: int
    buckets: bytes
    """Numbers of the histogram's buckets that are not empty, ascending, a byte each..."""
    counts: tuple[int, ...]
    """... and what is in them."""
    compact: bool = False
    """The histogram is a sum of compact rows."""


def begin_of(wall_s: float, length_s: int) -> int:
    """When the span that holds this moment begins."""
    return int(wall_s // length_s) * length_s


def dense(spans: Sequence[GroupSpan]) -> NDArray[np.uint64]:
    """The sum of their histograms: (216,)."""
    sums = np.zeros(HIST_BUCKETS, np.uint64)
    # All in one: a year of a group is tens of thousands of them, and each call of numpy costs as much as a span.
    buckets = np.frombuffer(b"".join([span.buckets for span in spans]), np.uint8)
    counts = np.fromiter(chain.from_iterable([span.counts for span in spans]), np.uint64, len(buckets))
    np.add.at(sums, buckets, counts)
    return sums


def sparse(histogram: NDArray[np.uint64]) -> tuple[bytes, tuple[int, ...]]:
    """As GroupSpan has it."""
    used = np.flatnonzero(histogram)
    return used.astype(np.uint8).tobytes(), tuple(histogram[used].tolist())


def merge(spans: Sequence[GroupSpan]) -> GroupSpan:
    """One for several of the same group, oldest first: neighbours, or parts of one span."""
    if len(spans) == 1:
        return spans[0]
    buckets, counts = sparse(dense(spans))
    last = spans[-1]
    return GroupSpan(
        covered_ms=sum(span.covered_ms for span in spans),
        probes=last.probes,
        states=last.states,
        runs=_sum([span.runs for span in spans]),
        state_ms=_sum([span.state_ms for span in spans]),
        transitions=sum(span.transitions for span in spans),
        buckets=buckets,
        counts=counts,
        compact=any(span.compact for span in spans),
    )


def together(spans: Sequence[GroupSpan]) -> GroupSpan:
    """One for several groups of the same span: probes are added up, and time is not."""
    merged = merge(spans)
    return msgspec.structs.replace(
        merged,
        covered_ms=max(span.covered_ms for span in spans),
        probes=sum(span.probes for span in spans),
        states=_sum([span.states for span in spans]),
    )


def _sum(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))
