"""Which rows of a snapshot a filter means."""

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_left
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.directory import Directory
from meshkit_fastprobe.model import State
from meshkit_fastprobe.probes.catalog import Groups

_SPECIAL: Final = re.compile(r"[*?\[]")
_LAST_CHARACTER: Final = "\U0010ffff"


def rows_named(names: list[str], glob: str) -> NDArray[np.intp]:
    """Rows whose name matches: `*`, `?`, `[...]`; case matters.

    names is sorted, so what stands before the first special character bounds the search.
    """
    special = _SPECIAL.search(glob)
    prefix = glob[: special.start()] if special else glob
    begin = bisect_left(names, prefix)
    end = bisect_left(names, prefix + _LAST_CHARACTER, lo=begin)
    if special is None:
        end = min(end, begin + 1)
        return np.arange(begin, end) if begin < end and names[begin] == glob else np.arange(0)
    if glob[special.start() :] == "*":
        return np.arange(begin, end)
    matches = re.compile(fnmatch.translate(glob)).match
    return np.array([row for row in range(begin, end) if matches(names[row])], np.intp)


def select(
    directory: Directory,
    columns: dict[str, NDArray[Any]],
    groups: Groups,
    *,
    cluster: str | None,
    namespace: str | None,
    kind: str | None,
    labels: Mapping[str, str] | None,
    states: Collection[State] | None,
    name: str | None,
) -> NDArray[np.intp]:
    """Ascending rows that meet all that is asked for."""
    rows = np.arange(len(directory.names)) if name is None else rows_named(directory.names, name)
    if states is not None:
        rows = rows[np.isin(columns["state"][rows], [int(state) for state in states])]
    if not (cluster is None and namespace is None and kind is None and not labels):
        wanted = frozenset((labels or {}).items())
        group = columns["group"][rows]
        meets = groups.meeting(cluster, namespace, kind, wanted)[group]
        # Group 0 is shared by tag sets beyond the bound on groups: its members are asked one by one.
        for at in np.flatnonzero(group == 0).tolist():
            registration = directory.registrations[rows[at]]
            options = registration.options
            meets[at] = (
                cluster in (None, options.cluster)
                and namespace in (None, options.namespace)
                and kind in (None, registration.kind)
                and wanted.issubset(options.labels)
            )
        rows = rows[meets]
    return rows
