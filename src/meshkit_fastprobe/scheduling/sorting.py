"""Sorting a million numbers, a part of them at each turn."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.turns import Turns

SORTED_AT_ONCE: Final = 32_768
"""Numbers sorted between two turns, in NumPy."""
_SAMPLES: Final = 64
"""Numbers looked at for each bound between two parts."""


def argsort(values: NDArray[Any]) -> Turns[NDArray[np.intp]]:
    """The stable order of these numbers: of a part of them after the other, by bounds that a sample suggests."""
    parts = -(-len(values) // SORTED_AT_ONCE)
    if parts < 2:
        return np.argsort(values, kind="stable")
    sample = np.sort(values[:: max(1, len(values) // (parts * _SAMPLES))])
    bounds = np.unique(sample[np.arange(1, parts) * len(sample) // parts])
    order = np.empty(len(values), np.intp)
    done = 0
    for part in range(len(bounds) + 1):
        inside = np.ones(len(values), bool)
        if part:
            inside &= values >= bounds[part - 1]
        if part < len(bounds):
            inside &= values < bounds[part]
        members = np.flatnonzero(inside)
        order[done : done + len(members)] = members[np.argsort(values[members], kind="stable")]
        done += len(members)
        yield
    return order
