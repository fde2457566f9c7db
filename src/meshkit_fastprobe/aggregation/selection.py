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
from meshkit_fastprobe.model import ProbeOptions, State
from meshkit_fastprobe.probes.catalog import Groups, Tags

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
        wanted = _Wanted(cluster, namespace, kind, set((labels or {}).items()))
        group = columns["group"][rows]
        meets = np.fromiter(map(wanted.meets, groups.tags), bool, len(groups))[group]
        # Group 0 is shared by tag sets beyond the bound on groups: its members are asked one by one.
        for at in np.flatnonzero(group == 0).tolist():
            registration = directory.registrations[rows[at]]
            meets[at] = wanted.meets(_tags(registration.options, registration.kind))
        rows = rows[meets]
    return rows


class _Wanted:
    def __init__(self, cluster: str | None, namespace: str | None, kind: str | None, labels: set[tuple[str, str]]) -> None:
        self._cluster, self._namespace, self._kind = cluster, namespace, kind
        self._labels = labels

    def meets(self, tags: Tags) -> bool:
        """Asked once for each of the thousands of groups there may be, while an experiment waits for its answer."""
        cluster, namespace, kind, labels = tags
        return (
            self._cluster in (None, cluster)
            and self._namespace in (None, namespace)
            and self._kind in (None, kind)
            and self._labels.issubset(labels)
        )


def _tags(options: ProbeOptions, kind: str) -> Tags:
    return options.cluster, options.namespace, kind, options.labels
