"""What is known at one moment: frozen, consistent, with NumPy columns inside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.layout import NO_RESULT
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.aggregation.columns import RESULT_NAMES, Columns
from meshkit_fastprobe.aggregation.describe import describe
from meshkit_fastprobe.aggregation.directory import Directory
from meshkit_fastprobe.aggregation.glance import Glance, Seen
from meshkit_fastprobe.aggregation.groups import QUANTILES, STATE_NAMES, Group, GroupReports, without_nan
from meshkit_fastprobe.aggregation.maintenance import Upkeep
from meshkit_fastprobe.aggregation.selection import select
from meshkit_fastprobe.aggregation.windows import Windows
from meshkit_fastprobe.errors import UnknownProbeError
from meshkit_fastprobe.model import Lane, Reason, Result, Settings, State
from meshkit_fastprobe.probes.catalog import Catalog, Groups, Registration

_LAG_QUANTILES: Final = np.array([0.5, 0.99])
_AT_WRAPS_CS: Final = 1 << 32


class RecentResult(msgspec.Struct, frozen=True, gc=False):
    """One remembered result. `at`: wall-clock seconds when the run began, to 10 ms."""

    at: float
    result: Result
    reason: Reason
    detail: int
    latency_s: float
    message: str


class ProbeView(msgspec.Struct, frozen=True, kw_only=True):
    """One probe as people read it. Times are wall-clock seconds; None is what is not known yet.

    Quantiles are of the probe's life, and infinite when they lie among the timeouts.
    """

    name: str
    kind: str
    lane: Lane
    target: str
    cluster: str
    namespace: str
    labels: dict[str, str]
    state: State
    since: float
    stale: bool
    suppressed: bool
    flapping: bool
    maintenance: str | None
    """Why changes are not announced now."""
    result: Result | None
    reason: Reason | None
    message: str
    detail: int
    latency_s: float | None
    last_run: float | None
    runs: dict[str, int]
    skipped: int
    transitions: int
    interval_s: float
    timeout_s: float
    success_ratio: float | None
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all probes there ever were; runs are scheduled ones, results reported from outside are `passive`.

    `skipped` are runs that our own limits prevented, `deferred` those that passing reports made needless (`passive_defers`).
    `dropped` are records lost to full rings. Lag is how late runs started, None before the first.
    """

    probes: int
    states: dict[str, int]
    runs: int
    ok: int
    degraded: int
    fail: int
    timeout: int
    error: int
    passive: int
    skipped: int
    skipped_by_reason: dict[str, int]
    deferred: int
    dropped: int
    lag_p50_s: float | None
    lag_p99_s: float | None
    lag_max_s: float | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """All probes at one moment, sorted by name; row r of every column is the probe names[r].

    Columns are copies: nothing in them changes. What is not in a column is read when asked for: quantiles of a probe, and what
    ran in a group.
    """

    host: str
    cluster: str
    taken_at: float
    """Wall-clock seconds."""
    names: list[str]
    columns: dict[str, NDArray[Any]]
    """state, stale, suppressed, flapping, maintenance, since, last_result (255: none yet), last_reason, last_detail,
    last_latency_s, last_run (nan: never), ok, degraded, fail, timeout, error, skipped, transitions, interval_s, group, slot,
    kind."""
    kinds: list[str]
    """By the numbers in columns["kind"]."""
    totals: Totals
    now_ns: int
    """`taken_at` on the scheduling clock."""
    source: SnapshotBuilder
    directory: Directory

    @property
    def base_groups(self) -> Groups:
        """By the numbers in columns["group"]."""
        return self.source.catalog.groups

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.directory.row(name) is not None

    def __getitem__(self, name: str) -> ProbeView:
        row = self.directory.row(name)
        if row is None:
            raise UnknownProbeError(name)
        return self.view(row)

    def view(self, row: int) -> ProbeView:
        """The probe in this row, of all columns."""
        return self.views([row])[0]

    def views(self, rows: Sequence[int]) -> list[ProbeView]:
        """The probes in these rows. Many at once cost a third of as many one by one."""
        return self.source.views_of([self.directory.registrations[row] for row in rows], self.columns, rows)

    def select(
        self,
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        kind: str | None = None,
        state: State | Collection[State] | None = None,
        labels: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> NDArray[np.intp]:
        """Ascending rows that meet all that is asked for; name is a glob."""
        return select(
            self.directory,
            self.columns,
            self.base_groups,
            cluster=cluster,
            namespace=namespace,
            kind=kind,
            labels=labels,
            states=[state] if isinstance(state, State) else state,
            name=name,
        )

    def groups(
        self,
        by: Sequence[str] = ("cluster", "namespace"),
        window: str | None = None,
        visible: NDArray[np.bool_] | None = None,
        *,
        buckets: bool = False,
    ) -> list[Group]:
        """Reports per distinct values of these tags: cluster, namespace, kind, or keys of labels.

        window: "1m", "5m", "1h", or None for the life of the table. States are of this snapshot, what ran is
        of now. visible: rows that may be told of; probes that share all their tags with a hidden one are left out with it, for
        what they ran is counted together. buckets: with the histogram of each, which adds up over groups, hosts and time, as
        percentiles do not. ValueError for a window or tag that cannot be.
        """
        return self.source.reports.read(self.columns, self.now_ns, by, window, visible, buckets=buckets)

    def to_msgpack_columns(self) -> bytes:
        """MessagePack of host, cluster, takenAt, kinds, names, and columns as {name: [NumPy type, raw bytes]}."""
        return msgspec.msgpack.encode(
            {
                "host": self.host,
                "cluster": self.cluster,
                "takenAt": self.taken_at,
                "kinds": self.kinds,
                "names": self.directory.packed_names,
                "columns": {name: (_type_name(column), column.data) for name, column in self.columns.items()},
            }
        )


class SnapshotBuilder:
    """Takes snapshots of one catalog and its table. What only changes with registrations is kept from one to the next."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        table: Table,
        windows: Windows,
        flapping: NDArray[np.bool_],
        upkeep: Upkeep,
    ) -> None:
        self.catalog = catalog
        self._upkeep = upkeep
        self._flapping = flapping
        self.reports = GroupReports(catalog.groups, windows)
        self._settings = settings
        self._table = table
        self._columns = Columns(table)
        self._state = table.column("state")
        self._timeout_ms = table.column("timeout_ms")
        self._generation = table.column("generation")
        self._histogram = table.column("histogram")
        self._directory = Directory.read(catalog)

    def build(self, now_ns: int, wall_s: float, dropped: int) -> Snapshot:
        """now_ns and wall_s are the same moment on the scheduling and the wall clock."""
        directory = self._current_directory()
        columns = self._columns.read(directory.slots, now_ns, wall_s)
        columns["suppressed"] = directory.suppressed(columns["state"] == State.UNHEALTHY)
        columns["flapping"] = self._flapping[directory.slots]
        columns["maintenance"] = self._upkeep.flags(directory, columns, self.catalog.groups)
        for column in columns.values():
            column.flags.writeable = False
        return Snapshot(
            host=self._settings.host,
            cluster=self._settings.cluster,
            taken_at=wall_s,
            names=directory.names,
            columns=columns,
            kinds=list(self.catalog.kinds),
            totals=self._totals(columns["state"], dropped),
            now_ns=now_ns,
            source=self,
            directory=directory,
        )

    def glance(self, now_ns: int) -> Glance:
        """What a judgement needs of all of them, now."""
        directory = self._current_directory()
        return Glance(directory, self._columns.read_states(directory.slots, now_ns), self.catalog.groups)

    def view(self, registration: Registration, now_ns: int, wall_s: float) -> ProbeView:
        """One probe, without a snapshot of all."""
        directory = self._current_directory()
        columns = self._columns.read(np.array([registration.slot], np.intp), now_ns, wall_s)
        row = directory.row(registration.name)
        suppressed = directory.suppressed(self._state[directory.slots] == State.UNHEALTHY)
        columns["suppressed"] = suppressed[[row]] if row is not None else np.zeros(1, bool)
        columns["flapping"] = self._flapping[[registration.slot]]
        self._upkeep.look()
        columns["maintenance"] = np.array([self._upkeep.covering(registration) is not None])
        return self.views_of([registration], columns, [0])[0]

    def recent(self, registration: Registration, now_ns: int, wall_s: float) -> list[RecentResult]:
        """The remembered results of one probe, oldest first."""
        now_cs, since_tick_ns = divmod(now_ns, 10_000_000)
        wall_s -= since_tick_ns / 1e9  # or the same run would have another time whenever it is asked for
        return [
            RecentResult(
                at=wall_s - (now_cs - at_cs) % _AT_WRAPS_CS / 100,
                result=Result(result),
                reason=Reason(reason),
                detail=detail,
                latency_s=round(latency_s, 9),
                message=describe(Result(result), Reason(reason), detail),
            )
            for at_cs, latency_s, detail, result, reason in self._table.recent(registration.slot).tolist()
        ]

    def views_of(
        self, registrations: Sequence[Registration], columns: dict[str, NDArray[Any]], rows: Sequence[int]
    ) -> list[ProbeView]:
        """The views of rows of columns that were read for these registrations."""
        at = np.asarray(rows, np.intp)
        cells = zip(*(column[at].tolist() for column in columns.values()), strict=True)
        quantiles = self._quantiles(registrations)
        return [
            _view(registration, dict(zip(columns, row, strict=True)), life, self._upkeep)
            for registration, row, life in zip(registrations, cells, quantiles, strict=True)
        ]

    def _current_directory(self) -> Directory:
        if self._directory.version != self.catalog.version:
            self._directory = Directory.read(self.catalog)
        return self._directory

    def _quantiles(self, registrations: Sequence[Registration]) -> list[list[float | None]]:
        """Of the life of each, as of now; unknown for those that were removed since the snapshot was taken."""
        slots = np.array([registration.slot for registration in registrations], np.intp)
        generations = np.array([registration.generation for registration in registrations], np.uint32)
        life_s = histogram.quantiles(histogram.fine(self._histogram[slots]), QUANTILES, compact=self._table.compact)
        life_s[self._generation[slots] != generations] = np.nan
        return [without_nan(values) for values in life_s.tolist()]

    def _totals(self, state: NDArray[np.uint8], dropped: int) -> Totals:
        totals = self._table.totals()
        runs = dict(zip(RESULT_NAMES, totals["runs"].tolist(), strict=True))
        skipped = totals["skipped"]
        deferred = int(skipped[Reason.DEFERRED])
        skipped[Reason.DEFERRED] = 0
        lag_p50_s, lag_p99_s = without_nan(histogram.quantiles(totals["lag"][np.newaxis], _LAG_QUANTILES)[0].tolist())
        return Totals(
            probes=len(state),
            states=dict(zip(STATE_NAMES, np.bincount(state, minlength=len(State)).tolist(), strict=True)),
            runs=sum(runs.values()),
            **runs,
            passive=totals["passive"],
            skipped=int(skipped.sum()),
            skipped_by_reason={str(Reason(reason)): int(skipped[reason]) for reason in np.flatnonzero(skipped).tolist()},
            deferred=deferred,
            dropped=dropped,
            lag_p50_s=lag_p50_s,
            lag_p99_s=lag_p99_s,
            lag_max_s=None if lag_p50_s is None else totals["lag_max_s"],
        )


def _view(registration: Registration, at: dict[str, Any], quantiles: Sequence[float | None], upkeep: Upkeep) -> ProbeView:
    """at: the cells of the probe's row, by column."""
    options = registration.options
    result = None if at["last_result"] == NO_RESULT else Result(at["last_result"])
    reason = None if result is None else Reason(at["last_reason"])
    runs = {name: at[name] for name in RESULT_NAMES}
    total = sum(runs.values())
    return ProbeView(
        name=registration.name,
        kind=registration.kind,
        lane=registration.lane,
        target=registration.target,
        cluster=options.cluster,
        namespace=options.namespace,
        labels=dict(options.labels),
        state=State(at["state"]),
        since=at["since"],
        stale=at["stale"],
        suppressed=at["suppressed"],
        flapping=at["flapping"],
        maintenance=_maintenance(registration, upkeep) if at["maintenance"] else None,
        result=result,
        reason=reason,
        message=_message(registration, result, reason, at["last_detail"]),
        detail=at["last_detail"],
        latency_s=None if result is None else at["last_latency_s"],
        last_run=None if result is None else at["last_run"],
        runs=runs,
        skipped=at["skipped"],
        transitions=at["transitions"],
        interval_s=at["interval_s"],
        timeout_s=options.timeout_s,
        success_ratio=(runs["ok"] + runs["degraded"]) / total if total else None,
        p50_s=quantiles[0],
        p90_s=quantiles[1],
        p99_s=quantiles[2],
    )


def _maintenance(registration: Registration, upkeep: Upkeep) -> str:
    """Why; "" when it ended after the snapshot was taken."""
    window = upkeep.covering(registration)
    return "" if window is None else window.reason


def _message(registration: Registration, result: Result | None, reason: Reason | None, detail: int) -> str:
    if result is None or reason is None:
        return ""
    return registration.message or describe(result, reason, detail)


def _type_name(column: NDArray[Any]) -> str:
    """NumPy's name of the type, always with its byte order: "<f8", "|u1"."""
    return column.dtype.str


_: type[Seen] = Snapshot
