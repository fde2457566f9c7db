"""The same series through prometheus-client, for embedders who expose a registry of their own.

    from prometheus_client import REGISTRY
    REGISTRY.register(Collector(diag))

Costs about a hundred times what /metrics does: a Python object a sample. With many probes pass per_probe=False.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector as RegistryCollector

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.layout import NO_RESULT
from meshkit_fastprobe.model import Result, State
from meshkit_fastprobe.telemetry import names
from meshkit_fastprobe.telemetry.group_rows import GROUP_EDGES, GroupRows
from meshkit_fastprobe.telemetry.names import Metric
from meshkit_fastprobe.telemetry.process import Sample, histogram_samples, process_families
from meshkit_fastprobe.telemetry.source import Source


class Collector(RegistryCollector):
    """Metrics of one Diagnostics, read at each scrape, on the thread that owns it (trio's).

    A registry served from another thread must call into trio (`trio.from_thread.run_sync`) to collect.
    """

    def __init__(self, source: Source, *, per_probe: bool = True) -> None:
        self._source = source
        self._per_probe = per_probe
        self._groups = GroupRows(source)

    def describe(self) -> Iterable[Family]:
        """Names only: registering collects nothing."""
        return [_family(metric) for metric in self._metrics()]

    def collect(self) -> Iterator[Family]:
        families = _Families(self._metrics())
        if self._per_probe:
            self._put_probes(families)
        self._put_groups(families)
        for metric, samples in process_families(self._source):
            families.extend(metric, samples)
        yield from families

    def _metrics(self) -> tuple[Metric, ...]:
        return (*(names.PER_PROBE if self._per_probe else ()), *names.PER_GROUP, *names.PROCESS)

    def _put_probes(self, families: _Families) -> None:
        table, catalog = self._source.table, self._source.catalog
        end = table.high_water
        columns = {name: table.column(name)[:end].tolist() for name in ("state", "last_result", "transitions", "latency_sum_s")}
        runs = [table.column(f"runs_{result.name.lower()}")[:end].tolist() for result in Result]
        histograms = table.column("histogram")
        for slot in (table.column("generation")[:end] & 1).nonzero()[0].tolist():
            registration = catalog.at(slot)
            if registration is None:
                continue
            options = registration.options
            values = (registration.name, registration.kind, options.cluster, options.namespace)
            labels = dict(zip(names.PROBE_LABELS, values, strict=True))
            last = columns["last_result"][slot]
            families.put(names.PROBE_STATE, labels, columns["state"][slot])
            if last != NO_RESULT:
                families.put(names.PROBE_SUCCESS, labels, int(last in {Result.OK, Result.DEGRADED}))
            for result in Result:
                families.put(names.PROBE_RUNS, {**labels, "result": result.name.lower()}, runs[result][slot])
            counts = histogram.fine(histograms[slot : slot + 1])[0].tolist()
            families.extend(
                names.PROBE_DURATION, histogram_samples(names.PROBE_DURATION, labels, counts, columns["latency_sum_s"][slot])
            )
            families.put(names.PROBE_TRANSITIONS, labels, columns["transitions"][slot])

    def _put_groups(self, families: _Families) -> None:
        sums = self._groups.read()
        for row in sums.in_use.nonzero()[0].tolist():
            labels = dict(zip(names.GROUP_LABELS, self._groups.pairs[row], strict=True))
            for state in State:
                families.put(names.GROUP_PROBES, {**labels, "state": state.name.lower()}, sums.probes[state, row])
            if not math.isnan(sums.success[row]):
                families.put(names.GROUP_SUCCESS, labels, sums.success[row])
            for result in Result:
                families.put(names.GROUP_RUNS, {**labels, "result": result.name.lower()}, sums.runs[result, row])
            counts, latency_s = sums.buckets[row], sums.latency_s[row]
            families.extend(
                names.GROUP_DURATION, histogram_samples(names.GROUP_DURATION, labels, counts, latency_s, GROUP_EDGES)
            )
            families.put(names.GROUP_TRANSITIONS, labels, sums.transitions[row])
            families.put(names.GROUP_FLAPPING, labels, sums.flapping[row])


class _Families:
    """prometheus-client's families by ours, in the order of the table of names."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._by_name = {metric.name: _family(metric) for metric in metrics}

    def __iter__(self) -> Iterator[Family]:
        return iter(self._by_name.values())

    def put(self, metric: Metric, labels: dict[str, str], value: float) -> None:
        self._by_name[metric.name].add_sample(metric.name, labels, float(value))

    def extend(self, metric: Metric, samples: Iterable[Sample]) -> None:
        family = self._by_name[metric.name]
        for sample in samples:
            family.add_sample(sample.name, sample.labels, sample.value)


def _family(metric: Metric) -> Family:
    return Family(metric.family, metric.help, metric.type)
