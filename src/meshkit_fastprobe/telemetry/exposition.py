"""/metrics for large tables: C renders the columns into pages, Python only says which family comes next.

`prometheus_client.generate_latest` builds a Python object a sample and costs seconds at 10,000 probes; telemetry.collector is
for embedders with a registry of their own. A test compares the two sample by sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.exposition import Buckets, Labels, Page, Rows, Series
from meshkit_fastprobe.model import Result, State
from meshkit_fastprobe.telemetry import names
from meshkit_fastprobe.telemetry.group_rows import GROUP_EDGES, GroupRows, GroupSums
from meshkit_fastprobe.telemetry.names import EDGES, Metric
from meshkit_fastprobe.telemetry.process import Sample, process_families
from meshkit_fastprobe.telemetry.source import Source

PAGE_BYTES: Final = 1 << 18
"""Text handed out at a time: a scrape holds one page, whatever its length, and keeps the event loop for a fraction of a
millisecond between two of them. From 512 KiB on the allocator gives each page back to the kernel, and faulting it in anew costs
as much as rendering it."""

MOST_PAIRS: Final = 65_536
"""Rows of (cluster, namespace) that label texts may be kept for: address space. The catalog's bound on groups is well below."""

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_Family: TypeAlias = tuple[Metric, Series | Buckets]
_Column: TypeAlias = tuple[bytes, bytes, NDArray[Any], NDArray[np.int16] | None]

_RESULT_TAILS: Final = tuple(f',result="{result.name.lower()}"}} '.encode() for result in Result)
_STATE_TAILS: Final = tuple(f',state="{state.name.lower()}"}} '.encode() for state in State)
_END: Final = b"} "


class Exposition:
    """Renders the metrics of one source. Scrapes may overlap; all of them on the thread that owns the table."""

    def __init__(self, source: Source) -> None:
        self._source = source
        table = source.table
        self._generation: NDArray[np.uint32] = table.column("generation")
        self._group: NDArray[np.uint32] = table.column("group")
        self._families = _probe_families(source)
        self._groups = GroupRows(source)
        self._group_labels = Labels(MOST_PAIRS)
        self._forget_probe_labels()

    @property
    def cache_bytes(self) -> int:
        """Memory held for label texts, about 100 bytes a probe; given back as probes leave."""
        return self._labels.nbytes + self._group_labels.nbytes

    def render(self, *, openmetrics: bool = False, per_probe: bool = True) -> bytes:
        """The whole text at once."""
        return b"".join(self.pages(openmetrics=openmetrics, per_probe=per_probe))

    def pages(self, *, openmetrics: bool = False, per_probe: bool = True) -> Iterator[bytes]:
        """The text in pieces, some of them empty: between any two the caller may let others work, and probes may come and go.

        A family's line is never of another probe than it says; a probe that comes meanwhile appears in the next scrape.
        """
        page = Page(PAGE_BYTES)
        if per_probe:
            yield from self._label_probes()
            end = self._source.table.high_water
            for metric, family in self._families:
                page.write(_header(metric, openmetrics))
                yield from _rows(page, self._rows, family, end)
        sums = self._groups.read()
        rows = self._label_groups(sums)
        for metric, family in _group_families(sums):
            page.write(_header(metric, openmetrics))
            yield from _rows(page, rows, family, len(sums.in_use))
        for metric, samples in process_families(self._source):
            page.write(_header(metric, openmetrics) + _lines(samples))
        cache = Sample(names.EXPOSITION_CACHE.name, {}, self.cache_bytes)
        page.write(_header(names.EXPOSITION_CACHE, openmetrics) + _lines([cache]))
        if openmetrics:
            page.write(b"# EOF\n")
        yield page.take()

    def _label_probes(self) -> Iterator[bytes]:
        catalog = self._source.catalog
        # Tag sets beyond the bound share group 0, where new tags do not mean a new group: nothing kept can be trusted.
        if catalog.groups.overflowed and catalog.version != self._catalog_version:
            self._forget_probe_labels()
        row, end = 0, self._source.table.high_water
        while row < end:
            slots, row = self._labels.stale(self._generation, self._group, row, end)
            for slot in slots:
                registration = catalog.at(slot)
                if registration is None:
                    continue
                options = registration.options
                pairs = zip(
                    names.PROBE_LABELS, (registration.name, registration.kind, options.cluster, options.namespace), strict=True
                )
                self._labels.put(slot, int(self._generation[slot]), int(self._group[slot]), tuple(pairs))
            yield b""

    def _label_groups(self, sums: GroupSums) -> Rows:
        """Rows of groups are never renumbered: generation 1 and group 0 for ever, generation 0 while unused."""
        unused = np.zeros_like(sums.in_use)
        row, end = 0, len(sums.in_use)
        while row < end:
            stale, row = self._group_labels.stale(sums.in_use, unused, row, end)
            for pair in stale:
                self._group_labels.put(pair, 1, 0, tuple(zip(names.GROUP_LABELS, self._groups.pairs[pair], strict=True)))
        return Rows(self._group_labels, sums.in_use, unused)

    def _forget_probe_labels(self) -> None:
        self._labels = Labels(self._source.table.capacity)
        self._rows = Rows(self._labels, self._generation, self._group)
        self._catalog_version = self._source.catalog.version


def _probe_families(source: Source) -> list[_Family]:
    """Descriptions of the table's columns; made once, for columns never move."""
    column = source.table.column
    edges = [(le, histogram.place(bucket, compact=source.table.compact)) for le, bucket in EDGES]
    passed = np.full(256, -1, np.int16)
    passed[list(Result)] = 0
    passed[[Result.OK, Result.DEGRADED]] = 1
    runs = (column(f"runs_{result.name.lower()}") for result in Result)
    return [
        (names.PROBE_STATE, Series(_column(names.PROBE_STATE, column("state")))),
        (names.PROBE_SUCCESS, Series(_column(names.PROBE_SUCCESS, column("last_result"), lookup=passed))),
        (names.PROBE_RUNS, _by(names.PROBE_RUNS, _RESULT_TAILS, runs)),
        (
            names.PROBE_DURATION,
            Buckets(names.PROBE_DURATION.name, edges, column("histogram"), column("latency_sum_s"), column("used")),
        ),
        (names.PROBE_TRANSITIONS, Series(_column(names.PROBE_TRANSITIONS, column("transitions")))),
    ]


def _group_families(sums: GroupSums) -> list[_Family]:
    return [
        (names.GROUP_PROBES, _by(names.GROUP_PROBES, _STATE_TAILS, sums.probes)),
        (names.GROUP_SUCCESS, Series(_column(names.GROUP_SUCCESS, sums.success))),
        (names.GROUP_RUNS, _by(names.GROUP_RUNS, _RESULT_TAILS, sums.runs)),
        (names.GROUP_DURATION, Buckets(names.GROUP_DURATION.name, GROUP_EDGES, sums.buckets, sums.latency_s)),
        (names.GROUP_TRANSITIONS, Series(_column(names.GROUP_TRANSITIONS, sums.transitions))),
        (names.GROUP_FLAPPING, Series(_column(names.GROUP_FLAPPING, sums.flapping))),
    ]


def _rows(page: Page, rows: Rows, family: Series | Buckets, end: int) -> Iterator[bytes]:
    row = 0
    while row < end:
        row = page.series(rows, family, row, end) if isinstance(family, Series) else page.buckets(rows, family, row, end)
        if row < end:
            yield page.take()


def _header(metric: Metric, openmetrics: bool) -> bytes:
    name, kind = (metric.family, metric.type) if openmetrics else (metric.name, metric.type.replace("info", "gauge"))
    return f"# HELP {name} {metric.help}\n# TYPE {name} {kind}\n".encode()


def _lines(samples: list[Sample]) -> bytes:
    return "".join(f"{sample.name}{_braces(sample.labels)} {_number(sample.value)}\n" for sample in samples).encode()


def _braces(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(value)


def _column(metric: Metric, column: NDArray[Any], *, tail: bytes = _END, lookup: NDArray[np.int16] | None = None) -> _Column:
    return f"{metric.name}{{".encode(), tail, column, lookup


def _by(metric: Metric, tails: tuple[bytes, ...], columns: Iterable[NDArray[Any]]) -> Series:
    return Series(*(_column(metric, column, tail=tail) for tail, column in zip(tails, columns, strict=True)))
