"""How a probe gets its place: its lane, its base group, a slot of the table and what stands in there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

import msgspec

from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.config.dependencies import find_circle
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane, ProbeOptions
from meshkit_fastprobe.probes.base import Probe, is_judged, lane_of, runs_on_trio
from meshkit_fastprobe.probes.catalog import Catalog, Registration
from meshkit_fastprobe.probes.likeness import Likenesses

Columns: TypeAlias = tuple[int, int, int, int, int, int, int, int]
"""The settings of a slot, in the order of Table.add."""


class Terms(NamedTuple):
    """What options come to for probes of one type: worked out once for all that share them."""

    given: ProbeOptions
    probe_type: type
    lane: Lane
    options: ProbeOptions
    group: int
    columns: Columns
    is_watched: bool


class Registrar:
    """Writes catalog and table together, so that neither knows a probe that the other does not."""

    def __init__(
        self,
        catalog: Catalog,
        table: Table,
        interval_s: Callable[[Registration], float],
        *,
        cluster: str,
        native_lane: bool,
    ) -> None:
        """interval_s: the interval of a probe in the state that it is in."""
        self._interval_s = interval_s
        self._catalog = catalog
        self._table = table
        self._cluster = cluster
        self._native_lane = native_lane
        self._clustered: tuple[ProbeOptions | None, ProbeOptions] = (None, ProbeOptions())
        self._last: Terms | None = None
        self._likenesses = Likenesses()

    def register(
        self, names: Sequence[str], probes: Sequence[Probe], options: Iterable[ProbeOptions], now_ns: int
    ) -> list[Registration]:
        """All or none: names and kinds are checked before the first slot is taken."""
        self._catalog.refuse(names)
        own_options = list(islice(options, len(names)))
        self._refuse_circle({name: own.depends_on for name, own in zip(names, own_options, strict=True) if own.depends_on})
        return self.enter(names, probes, own_options, now_ns)

    def enter(
        self, names: Sequence[str], probes: Sequence[Probe], options: Sequence[ProbeOptions], now_ns: int
    ) -> list[Registration]:
        """Register what is known to be allowed: there is room, the names are free, and nothing depends on itself."""
        lanes: dict[type, Lane] = {}
        for probe in probes:
            if type(probe) not in lanes:
                lanes[type(probe)] = self.lane(probe)
        # No list of tuples: a million of those leave holes among the objects that stay.
        every = zip(names, probes, options, strict=True)
        return [
            self._register_one(name, probe, self._terms(probe, options, lanes[type(probe)]), now_ns)
            for name, probe, options in every
        ]

    def remove(self, registration: Registration) -> None:
        self._catalog.drop(registration)
        self._table.remove(registration.slot, registration.generation)

    def adjust(self, registration: Registration, options: ProbeOptions) -> bool:
        """New options in place, with state and counters kept. False when their tags need another group, and so a new slot."""
        options = self._with_cluster(options)
        if self._group(registration.likeness, options) != registration.group:
            return False
        registration.options = options
        self._catalog.options_changed(registration)
        self._table.watch(registration.slot, registration.generation, _is_watched(options))
        self.configure(registration)
        return True

    def configure(self, registration: Registration) -> None:
        """Write what the options ask for in the state that the probe is in now."""
        columns = self._columns(
            registration.likeness,
            registration.options,
            registration.lane,
            registration.group,
            self._interval_s(registration),
        )
        self._table.configure(registration.slot, registration.generation, *columns)

    def _register_one(self, name: str, probe: Probe, terms: Terms, now_ns: int) -> Registration:
        slot, generation = self._table.add(*terms.columns, now_ns)
        if terms.is_watched:
            self._table.watch(slot, generation, True)
        kept, target_at = self._likenesses.of(name, probe) if terms.lane is Lane.NATIVE else (probe, 0)
        registration = Registration(name, kept, terms.options, terms.lane, slot, generation, terms.group, target_at)
        self._catalog.put(registration)
        return registration

    def _terms(self, probe: Probe, given: ProbeOptions, lane: Lane) -> Terms:
        last = self._last
        if last is not None and last.given is given and last.probe_type is type(probe) and last.lane is lane:
            return last
        options = self._with_cluster(given)
        group = self._group(probe, options)
        columns = self._columns(probe, options, lane, group, options.interval_s)
        terms = Terms(given, type(probe), lane, options, group, columns, _is_watched(options))
        self._last = terms if group else None  # the probes beyond the bound on groups are counted, each of them
        return terms

    def _refuse_circle(self, added: dict[str, tuple[str, ...]]) -> None:
        if not added:
            return
        kept = {} if self._catalog.kept is None else self._catalog.kept.depends_on
        circle = find_circle({**self._catalog.depends_on, **kept, **added}, added)
        if circle:
            raise circle_of(circle)

    def lane(self, probe: Probe) -> Lane:
        """Who runs probes of this type; ConfigError when nobody can."""
        lane = lane_of(type(probe))
        assert lane is not None, "add() wraps callables, configuration checks kinds"
        if lane is Lane.NATIVE and not self._native_lane:
            if not runs_on_trio(type(probe)):
                raise ConfigError(
                    f"probe kind {probe.kind!r}", "it needs the native lane, which is off", "turn it on, on Linux"
                )
            return Lane.TASK
        return lane

    def _with_cluster(self, options: ProbeOptions) -> ProbeOptions:
        """The host's cluster where a probe names none. Probes that share options go on sharing them."""
        if options.cluster or not self._cluster:
            return options
        before, after = self._clustered
        if before is not options:
            after = msgspec.structs.replace(options, cluster=self._cluster)
            self._clustered = (options, after)
        return after

    def _group(self, probe: Probe, options: ProbeOptions) -> int:
        return self._catalog.groups.number((options.cluster, options.namespace, probe.kind, options.labels))

    def _columns(self, probe: Probe, options: ProbeOptions, lane: Lane, group: int, interval_s: float) -> Columns:
        return (
            group,
            max(1, round(interval_s * 1000)),
            max(1, round(options.timeout_s * 1000)),
            0 if options.degraded_above_s is None else max(1, round(options.degraded_above_s * 1e6)),
            self._catalog.kind_number(probe.kind),
            lane,
            1 if is_judged(type(probe)) else options.rise,
            1 if is_judged(type(probe)) else options.fall,
        )


def _is_watched(options: ProbeOptions) -> bool:
    """Whether its interval depends on more than its state."""
    return options.pending_interval_s is not None or options.backoff_s is not None


def circle_of(names: list[str]) -> ConfigError:
    """What to raise of names that depend on each other."""
    chain = " -> ".join([*names, names[0]])
    return ConfigError(f"probe {names[0]!r}: depends_on", f"a circle: {chain}", "remove one of these")
