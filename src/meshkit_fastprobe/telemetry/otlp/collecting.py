"""What is exported of metrics, as plain values read on trio's thread; what they become on the wire is made elsewhere.

Groups (cluster, namespace) always; single probes when they are asked for. Histograms are all of ours, bucket by bucket.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.layout import HIST_BUCKETS
from meshkit_fastprobe.model import Result, State
from meshkit_fastprobe.telemetry import names
from meshkit_fastprobe.telemetry.names import Metric
from meshkit_fastprobe.telemetry.process import Sample, process_families
from meshkit_fastprobe.telemetry.source import Source

MAX_PROBES: Final = 10_000
"""Single probes that are exported, the longest registered first; more would be seconds of work. Groups hold them all."""
AT_A_STRETCH: Final = 128
"""Probes that are read before the event loop has its turn: some milliseconds."""
_RESULTS: Final = tuple(result.name.lower() for result in Result)
_STATES: Final = tuple(state.name.lower() for state in State)


class Distribution(msgspec.Struct, frozen=True, eq=False):
    """A row of our buckets with the sum of what is in them."""

    labels: Mapping[str, str]
    counts: NDArray[np.uint64]
    sum_s: float


class Reading(msgspec.Struct, frozen=True, eq=False):
    """Everything at one moment."""

    families: Sequence[tuple[Metric, Sequence[Sample]]]
    distributions: Sequence[tuple[Metric, Sequence[Distribution]]]
    compact: bool
    probes_left_out: int = 0


class GroupTotals:
    """Sums per (cluster, namespace), which are numbered in the order of their appearance."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._row_of_pair: dict[tuple[str, str], int] = {}
        self._row_of_group: list[int] = []

    def read(
        self,
    ) -> tuple[list[dict[str, str]], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.float64], NDArray[np.uint64]]:
        """Labels, histograms, runs, seconds of latency and transitions, by row."""
        groups = self._source.catalog.groups.tags
        for cluster, namespace, *_ in groups[len(self._row_of_group) :]:
            self._row_of_group.append(self._row_of_pair.setdefault((cluster, namespace), len(self._row_of_pair)))
        many, rows = len(self._row_of_group), len(self._row_of_pair)
        buckets, runs = np.zeros((many, HIST_BUCKETS), np.uint64), np.zeros((many, len(Result)), np.uint64)
        latency_s, transitions = np.zeros(many), np.zeros(many, np.uint64)
        self._source.table.merge_groups(many, buckets, runs)
        self._source.table.merge_sums(many, latency_s, transitions)
        of_group = np.array(self._row_of_group, np.intp)
        labels = [dict(zip(names.GROUP_LABELS, pair, strict=True)) for pair in self._row_of_pair]
        folded = [_fold(column, of_group, rows) for column in (buckets, runs, latency_s, transitions)]
        return labels, *folded  # type: ignore[return-value]  # as they came

    def row_of_group(self) -> NDArray[np.intp]:
        return np.array(self._row_of_group, np.intp)


def collect(source: Source, totals: GroupTotals, *, per_probe: bool) -> Generator[None, None, Reading]:
    """What there is to export now; at each yield the event loop may have its turn."""
    labels, buckets, runs, latency_s, transitions = totals.read()
    families = [(metric, samples) for metric, samples in process_families(source) if metric is not names.SCHEDULER_LAG]
    families += _groups(source, totals, labels, runs, transitions)
    yield
    used = np.flatnonzero(runs.sum(axis=1)).tolist()
    lag = source.table.totals()
    distributions = [
        (names.GROUP_DURATION, [Distribution(labels[row], buckets[row], float(latency_s[row])) for row in used]),
        (names.SCHEDULER_LAG, [Distribution({}, np.asarray(lag["lag"], np.uint64), float(lag["lag_sum_s"]))]),
    ]
    left_out = 0
    if per_probe:
        probes, durations, left_out = yield from _probes(source)
        families += probes
        distributions.append((names.PROBE_DURATION, durations))
    return Reading(families, distributions, source.table.compact, left_out)


def _groups(
    source: Source, totals: GroupTotals, labels: list[dict[str, str]], runs: NDArray[np.uint64], transitions: NDArray[np.uint64]
) -> Iterator[tuple[Metric, list[Sample]]]:
    table = source.table
    end = table.high_water
    in_use = table.column("generation")[:end] & 1 == 1
    row = totals.row_of_group()[table.column("group")[:end][in_use]]
    states = np.bincount(row * len(State) + table.column("state")[:end][in_use], minlength=len(labels) * len(State))
    states = states.reshape(len(labels), len(State))
    present = [at for at, one in enumerate(labels) if states[at].any() or runs[at].any()]
    yield (
        names.GROUP_PROBES,
        [
            _sample(names.GROUP_PROBES, labels[at], states[at, state], state=name)
            for at in present
            for state, name in enumerate(_STATES)
        ],
    )
    yield (
        names.GROUP_RUNS,
        [
            _sample(names.GROUP_RUNS, labels[at], runs[at, result], result=name)
            for at in present
            for result, name in enumerate(_RESULTS)
        ],
    )
    yield names.GROUP_TRANSITIONS, [_sample(names.GROUP_TRANSITIONS, labels[at], transitions[at]) for at in present]


def _probes(source: Source) -> Generator[None, None, tuple[list[tuple[Metric, list[Sample]]], list[Distribution], int]]:
    table, catalog = source.table, source.catalog
    end = table.high_water
    slots = (table.column("generation")[:end] & 1).nonzero()[0]
    left_out = max(0, len(slots) - MAX_PROBES)
    slots = slots[:MAX_PROBES]
    state, latency_s = table.column("state")[slots], table.column("latency_sum_s")[slots]
    runs = [table.column(f"runs_{name}")[slots] for name in _RESULTS]
    rows = table.column("histogram")
    told: dict[Metric, list[Sample]] = {names.PROBE_STATE: [], names.PROBE_RUNS: []}
    durations: list[Distribution] = []
    for at, slot in enumerate(slots.tolist()):
        if at % AT_A_STRETCH == 0:
            yield
        registration = catalog.at(slot)
        if registration is None:
            continue
        options = registration.options
        values = (registration.name, registration.kind, options.cluster, options.namespace)
        labels = dict(zip(names.PROBE_LABELS, values, strict=True))
        told[names.PROBE_STATE].append(_sample(names.PROBE_STATE, labels, state[at]))
        told[names.PROBE_RUNS] += [
            _sample(names.PROBE_RUNS, labels, column[at], result=name) for column, name in zip(runs, _RESULTS, strict=True)
        ]
        durations.append(Distribution(labels, histogram.fine(rows[slot : slot + 1])[0], float(latency_s[at])))
    return list(told.items()), durations, left_out


def _sample(metric: Metric, labels: Mapping[str, str], value: Any, **more: str) -> Sample:
    return Sample(metric.name, {**labels, **more}, float(value))


def _fold(column: NDArray[Any], row_of_group: NDArray[np.intp], rows: int) -> NDArray[Any]:
    folded = np.zeros((rows, *column.shape[1:]), column.dtype)
    np.add.at(folded, row_of_group, column)
    return folded
