"""Diagnostics: the embedder's API, and the only file that wires everything together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import repeat
from types import TracebackType
from typing import Any, Final, TypeVar, cast

import trio

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.engine import NATIVE_LANE, Engine
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.aggregation.flapping import Flaps
from meshkit_fastprobe.aggregation.maintenance import Upkeep
from meshkit_fastprobe.aggregation.snapshot import ProbeView, RecentResult, Snapshot, SnapshotBuilder
from meshkit_fastprobe.aggregation.windows import Windows
from meshkit_fastprobe.config.diff import ReloadSummary
from meshkit_fastprobe.config.options import probe_options
from meshkit_fastprobe.config.settings import check_settings, fixed_part
from meshkit_fastprobe.config.spec import Config
from meshkit_fastprobe.config.toggles import CALLABLE
from meshkit_fastprobe.errors import ConfigError, NotRunningError, SkippedError
from meshkit_fastprobe.history.keeper import history_of
from meshkit_fastprobe.in_turns import in_turns, to_the_end
from meshkit_fastprobe.loading import conductor_of, load_config
from meshkit_fastprobe.model import BudgetUse, Explanation, Reason, Result, RunReport, Settings, State
from meshkit_fastprobe.probes.base import Probe, lane_of
from meshkit_fastprobe.probes.builtin import builtin_kinds
from meshkit_fastprobe.probes.callable import AsyncCheck, Check, from_callable
from meshkit_fastprobe.probes.catalog import MAX_GROUPS, Catalog, Registration
from meshkit_fastprobe.probes.registrar import Registrar
from meshkit_fastprobe.scheduling.announcing import Announcer, Move
from meshkit_fastprobe.scheduling.changes import Changes, ChangeStream
from meshkit_fastprobe.scheduling.clocks import HostClocks, TrioClocks
from meshkit_fastprobe.scheduling.descriptors import Budget, budget
from meshkit_fastprobe.scheduling.explaining import FAILING_PROBES, of_failures
from meshkit_fastprobe.scheduling.news import News
from meshkit_fastprobe.scheduling.paces import Paces
from meshkit_fastprobe.scheduling.pauses import Pauses
from meshkit_fastprobe.scheduling.pump import Records
from meshkit_fastprobe.scheduling.reloading import Reload
from meshkit_fastprobe.scheduling.roster import Roster
from meshkit_fastprobe.scheduling.session import Session
from meshkit_fastprobe.scheduling.sharing import MAX_BUDGET_GROUPS
from meshkit_fastprobe.scheduling.target_files import keep_target_files
from meshkit_fastprobe.security.gate import Gate
from meshkit_fastprobe.server.endpoints import Endpoints
from meshkit_fastprobe.telemetry.export import Export
from meshkit_fastprobe.telemetry.logs import flush_transitions
from meshkit_fastprobe.telemetry.usage import Usage

C = TypeVar("C", bound="Check | AsyncCheck")

BATCH_RECORDS: Final = 65_536
"""Results of Python lanes and report() that may wait for one coalescing period; more are dropped and counted."""

log = logging.getLogger("meshkit_fastprobe")


class Diagnostics:
    """Probes and their states for one host. Making one does no I/O and starts no thread; `async with` runs it.

    Leaving the context stops probing, records what was in flight as skipped, and flushes. It may be entered again.
    """

    def __init__(self, settings: Settings) -> None:
        check_settings(settings)
        self.settings = settings
        self.catalog = Catalog(settings.max_probes)
        self.table = Table(settings.max_probes, MAX_GROUPS, compact=settings.compact_histograms)
        self._failures = Failures(settings.max_probes, FAILING_PROBES)
        self.windows = Windows(self.table, self.catalog.groups, settings.window_frame_s)
        self.gate = Gate(settings.security)
        """Who may do what here; what the endpoints ask."""
        self.endpoints = Endpoints()
        self.descriptors: Budget | None = None
        """How many connections the native lane may hold, and why, once running."""
        self.started_ns = 0
        """From when the schedules count of the probes that were there on entering, on the scheduling clock."""
        self._clocks = HostClocks() if settings.engine == "thread" else TrioClocks()
        self.pauses = Pauses(self.catalog, self.table, self._clocks, self._settled)
        """Which probes are paused by themselves, and which kinds are switched off."""
        self._paces = Paces(self.table)
        native_lane = settings.native_lane and NATIVE_LANE
        registrar = Registrar(
            self.catalog, self.table, self._paces.interval_s, cluster=settings.cluster, native_lane=native_lane
        )
        self.flaps = Flaps(settings.max_probes)
        self.maintenance = Upkeep(lambda: self._clocks.wall_s(self._clocks.schedule_ns()))
        """Windows in which changes are not announced: those of the configuration, and those that code adds."""
        self._builder = SnapshotBuilder(settings, self.catalog, self.table, self.windows, self.flaps.flapping, self.maintenance)
        self._batch = RecordBatch(BATCH_RECORDS)
        self._changes = Changes()
        news = News(self._changes, self._clocks.wall_s)
        self._announcer = Announcer(self.catalog, self.table.column("state"), self.flaps, self.maintenance, news)
        self._roster = Roster(
            self.catalog,
            registrar,
            clocks=self._clocks,
            failures=self._failures,
            paces=self._paces,
            pauses=self.pauses,
            announcer=self._announcer,
            session=lambda: self._running,
        )
        self.history = history_of(settings, self.table, self.catalog, self.windows, self._clocks)
        """What is kept of the past, when there is a state_dir."""
        self.export = Export(settings)
        self._points: dict[str, InjectionPoint] = {}
        self.chaos = (
            None if settings.chaos is None else conductor_of(self, self._points, lambda: self._builder.glance(self.now_ns()))
        )
        """Experiments, when there may be any."""
        self._waiting: list[Registration] = []  # until those who were there on entering are placed
        self._running: Session | None = None
        self._changing = trio.Lock()
        """Held by a reload, and by who starts and stops: none of them comes between the turns of another."""
        self._context: AbstractAsyncContextManager[None] | None = None
        self._past: Counter[str] = Counter()  # what the engines of earlier starts have counted
        self._config: Config | None = None
        self._begun_with: Settings | None = None  # of a file: what of them differs later waits for a restart
        self._read_again: Callable[[], Config] | None = None

    # -- registering ---------------------------------------------------------------------------------------------------------

    def probe(self, name: str, **options: Any) -> Callable[[C], C]:
        """Decorator: register a callable without arguments. `async def` runs on trio, a plain function on a worker thread.

        Raising fails the probe, returning None or an Outcome passes or says more. Options as in ProbeOptions, durations as
        seconds or "250ms". ConfigError for an option that cannot be, DuplicateNameError for a name that is taken.
        """

        def register(check: C) -> C:
            self.add(from_callable(check), name=name, **options)
            return check

        return register

    def add(self, probe: Probe | Check | AsyncCheck, *, name: str | None = None, **options: Any) -> str:
        """Register one probe, also while running. Returns its name, by default "kind:target"."""
        if lane_of(type(probe)) is None:
            probe = from_callable(cast("Check | AsyncCheck", probe))
        probe = cast("Probe", probe)
        name = f"{probe.kind}:{probe.target}" if name is None else name
        self._roster.add([name], [probe], [probe_options(f"probe {name!r}", None, **options)])
        return name

    def add_many(self, probes: Iterable[Probe], **options: Any) -> list[str]:
        """Register thousands at once with the same options, all or none. Their phases are spread evenly together.

        In one go, at about 5 µs a probe: on a host that runs, add a large number some hundreds at a time, with
        `await trio.lowlevel.checkpoint()` in between.
        """
        shared = probe_options("add_many", None, **options)
        probes = list(probes)
        stranger = next((probe for probe in probes if lane_of(type(probe)) is None), None)
        if stranger is not None:
            raise TypeError(f"{type(stranger).__name__} is not a probe: it has no target with compile() or check()")
        names = [f"{probe.kind}:{probe.target}" for probe in probes]
        self._roster.add(names, probes, repeat(shared))
        return names

    def remove(self, name: str) -> None:
        """Forget a probe, also while running; a run in flight is abandoned. UnknownProbeError when there is none."""
        self._roster.remove(self.catalog[name])

    def pause(self, name: str) -> None:
        """Stop scheduling a probe; its state is PAUSED until resumed."""
        self.pauses.hold(self.catalog[name], held=True)

    def resume(self, name: str) -> None:
        """Schedule a paused probe again, on its old phase; its next conclusive result decides its state."""
        self.pauses.hold(self.catalog[name], held=False)

    def report(self, name: str, *, ok: bool, latency_s: float = 0.0, reason: Reason = Reason.REPORTED) -> None:
        """A passive result: what a real call to the dependency came to. Counts and moves the state like a run of the probe.

        With `passive_defers`, one that passed puts off the next run, and one that failed brings it forward to now.
        """
        registration = self.catalog[name]
        result = Result.OK if ok else Result.FAIL
        now_ns = self._clocks.schedule_ns()
        latency_ns = max(0, int(latency_s * 1e9))
        self._batch.append(
            registration.slot,
            registration.generation,
            max(0, now_ns - latency_ns),
            latency_ns,
            0,
            0,
            result | layout.PASSIVE,
            Reason.NONE if ok else reason,
        )
        if self._running:
            self._running.heard(registration, ok=ok)

    def injection_point(self, name: str) -> InjectionPoint:
        """The place called `name` where a fault may enter this process; the same object for the same name."""
        point = self._points.get(name)
        if point is None:
            point = self._points[name] = InjectionPoint(name)
        return point

    # -- configuration -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: Config, read_again: Callable[[], Config] | None = None) -> Diagnostics:
        """What a loaded configuration file describes; its target files are watched while it runs.

        read_again: how reload_file comes by the configuration as it is then; by default, from the same file.
        """
        diag = cls(config.settings)
        diag._config, diag._begun_with = config, config.settings
        diag._read_again = read_again or partial(load_config, config.document.path)
        if diag.chaos is not None and config.faults is not None:
            diag.chaos.adopt(config.faults)
        diag.maintenance.configure(config.maintenance)
        specs = config.probes
        diag._roster.add(
            [spec.name for spec in specs], [cast("Probe", spec.probe) for spec in specs], (spec.options for spec in specs)
        )
        return diag

    async def reload(self, config: Config) -> ReloadSummary:
        """Apply another configuration as a difference: probes it does not change keep state, counters and phase.

        Who may do what is replaced whole. Other settings are fixed while running; their changes wait for a restart, and the
        summary says so.

        It does so a little at each turn of the event loop, one after the other when there are two. ConfigError, and nothing
        changes, when it cannot be. Once it has begun to change anything it goes on to the end, cancelled or not.
        """
        async with self._changing:
            return await self._switch(config)

    async def reload_file(self) -> ReloadSummary:
        """Read the configuration again, and apply it. ConfigError, and nothing changes, when it is wrong or there is none."""
        if self._read_again is None:
            raise ConfigError("reload", "this host has no configuration file", "start it with: fastprobe run CONFIG")
        return await self._reload_as(self._read_again)

    async def _reload_as(self, read: Callable[[], Config]) -> ReloadSummary:
        async with self._changing:  # reading as well: of two who do this, the one that applies last has read last
            return await self._switch(await trio.to_thread.run_sync(read))

    async def _switch(self, config: Config) -> ReloadSummary:
        before = self._config
        settings = self.settings if before is None else before.settings
        with Reload(self._roster, () if before is None else before.probes, config.probes) as reload:
            change = await in_turns(reload.settle())
            self._adopt(config.settings)  # first: a right that is taken away is gone at once
            try:
                await to_the_end(reload.apply())
            except BaseException:
                self._adopt(settings)
                self._announcer.settle()
                raise
        self._config = config
        self._begun_with = self._begun_with or config.settings
        self.maintenance.configure(config.maintenance)
        self._announcer.settle()
        return ReloadSummary(
            added=len(change.added),
            removed=len(change.removed),
            changed=len(change.changed),
            untouched=reload.untouched,
            needs_restart=fixed_part(self._begun_with) != fixed_part(config.settings),
        )

    def _adopt(self, settings: Settings) -> None:
        """What of them can change while running."""
        self.gate.replace(settings.security)
        if self.chaos is not None and settings.chaos is not None:
            self.chaos.configure(settings.chaos)

    # -- reading -------------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """What is known now: frozen and consistent, with NumPy columns inside."""
        return self._builder.build(*self._clocks.now(), self.dropped)

    def changes(self) -> ChangeStream:
        """State transitions from now on, as an async iterator; ends when the runtime stops."""
        return self._changes.listen()

    def view(self, name: str) -> ProbeView:
        """One probe as it is now, at a small part of what a snapshot of all costs."""
        return self._builder.view(self.catalog[name], *self._clocks.now())

    def recent(self, name: str) -> list[RecentResult]:
        """The last results of one probe, oldest first."""
        return self._builder.recent(self.catalog[name], *self._clocks.now())

    def failures(self, name: str) -> list[RunReport]:
        """The last failures of one probe, oldest first, however long ago: at most eight, of the probes that failed last."""
        registration = self.catalog[name]
        return of_failures(self._failures.read(registration.slot, registration.generation), *self._clocks.now())

    def now_ns(self) -> int:
        """Now on the scheduling clock, on which `due_ns` of registrations lies."""
        return self._clocks.schedule_ns()

    @property
    def running(self) -> bool:
        """Whether it is inside its `async with`."""
        return self._running is not None

    @property
    def ready(self) -> bool:
        """Whether probes are being run: what /readyz answers."""
        return self._running is not None and not self.endpoints.leaving

    @property
    def dropped(self) -> int:
        """Records lost to full rings since the start; zero on a healthy host."""
        return self.counted("records_dropped") + self._batch.dropped

    def counted(self, name: str) -> int:
        """By the engines since the start, under a name of engine.h, and by the task lane where it counts the same."""
        return self._past[name] + (self._running.counters()[name] if self._running else 0)

    @property
    def kinds(self) -> list[str]:
        """Of probes that there may be here: callables, and the configuration's registry, or what is built in."""
        return sorted({CALLABLE, *(builtin_kinds if self._config is None else self._config.kinds)})

    @property
    def address(self) -> str | None:
        """Where the endpoints listen, once they do."""
        return self.endpoints.address

    @property
    def local_token(self) -> str | None:
        """The bearer token of this host, while the endpoints are served."""
        return self.endpoints.local_token

    @property
    def usage(self) -> Usage:
        """How the endpoints are used, since this was made."""
        return self.endpoints.usage(self.gate.decisions, self.chaos, self.history.use, self.export.use)

    def engine_stats(self) -> dict[str, int]:
        """Counters of the native engine (see engine.h); empty while not running."""
        return self._running.engine.stats() if self._running else {}

    def budgets(self) -> list[BudgetUse]:
        """What each group that shares this host makes of its budget, by name; empty while not running."""
        return self._running.budgets() if self._running else []

    # -- running -------------------------------------------------------------------------------------------------------------

    async def run_once(self, name: str) -> ProbeView:
        """Run a probe now, besides its schedule, and wait for what it comes to; joins a run that is in flight.

        NotRunningError outside `async with`; SkippedError when our own limits, a stop or a removal kept it from running.
        """
        registration = self.catalog[name]
        if self._running is None:
            raise NotRunningError("run_once needs a running Diagnostics; use `async with diag:`")
        skipped = await self._running.run_once(registration)
        if skipped is not None:
            raise SkippedError(name, str(skipped))
        return self._builder.view(registration, *self._clocks.now())

    async def explain(self, name: str) -> Explanation:
        """Run a probe now, besides its schedule, and tell all that can be told of that run. It counts like any other.

        NotRunningError outside `async with`; SkippedError when our own limits, a stop or a removal kept it from running.
        """
        registration = self.catalog[name]
        if self._running is None:
            raise NotRunningError("explain needs a running Diagnostics; use `async with diag:`")
        told = await self._running.explain(registration)
        if isinstance(told, Reason):
            raise SkippedError(name, str(told))
        return told

    async def __aenter__(self) -> Diagnostics:
        if self._context is not None:
            raise RuntimeError("this Diagnostics is running already")
        context = self._run()
        await context.__aenter__()
        self._context = context
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        context, self._context = self._context, None
        assert context is not None
        return await context.__aexit__(kind, error, traceback)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        async with self._changing:
            running = self._assemble()
            self._running, self._waiting = running, list(self.catalog)
        failure: Exception | None = None
        try:
            async with self.history.keeping(), trio.open_nursery() as nursery:
                # The nursery is our own business: an error of the embedder's body must not come out wrapped in a group.
                try:
                    await self._start(running, nursery)
                    yield
                    await self.endpoints.leave(0.0 if self.settings.server is None else self.settings.server.drain_s)
                except Exception as error:  # noqa: BLE001 - raised again below
                    failure = error
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                async with self._changing:
                    self._stop(running)
        if failure is not None:
            raise failure

    async def _start(self, running: Session, nursery: trio.Nursery) -> None:
        if self.settings.server is not None:  # first: importing takes a while, and nothing should fall due in it
            await self.endpoints.open(self, nursery)
        await nursery.start(self.export.run, self)
        running.start(nursery)
        nursery.start_soon(keep_target_files, lambda: self._config, self._reload_as)
        self.started_ns = running.place(self._waiting)
        self._waiting = []

    def _stop(self, running: Session) -> None:
        try:
            running.stop()
        finally:
            self._running = None
            self._past.update(running.counters())
            running.engine.close()  # now: a session is a knot of callbacks, which only the collector would undo
            self._changes.close()
            flush_transitions()

    def _assemble(self) -> Session:
        settings = self.settings
        self.descriptors = budget(settings.max_connections)
        log.log(logging.WARNING if self.descriptors.short else logging.INFO, "%s", self.descriptors)
        engine = Engine(
            capacity=settings.max_probes,
            connections=self.descriptors.connections,
            notify_ns=int(settings.notify_s * 1e9) if settings.engine == "thread" else 0,
            now_ns=self._clocks.schedule_ns(),
            groups=MAX_BUDGET_GROUPS,
            nice=settings.nice,
        )
        return Session(
            settings,
            engine,
            clocks=self._clocks,
            catalog=self.catalog,
            table=self.table,
            windows=self.windows,
            batch=self._batch,
            failures=self._failures,
            on_transitions=self._on_transitions,
            on_frame=self._on_frame,
            interval_s=self._paces.interval_s,
        )

    def _settled(self, registration: Registration) -> None:
        """A probe was paused, or let go."""
        self._paces.forget(registration.slot)
        self._roster.pace(registration)
        self._announcer.forget(registration)

    def _on_transitions(self, records: Records) -> None:
        self.history.moved(records)
        for slot, generation, at_ns, before, after, reason, result, detail, _ in records.tolist():
            registration = self.catalog.at(slot)
            if registration is None or registration.generation != generation:
                continue
            if self._paces.moved(registration, at_ns):
                self._roster.pace(registration)
            if before == after:
                continue  # no news: a change is pending, or no longer
            move = Move(at_ns, State(before), State(after), Reason(reason), Result(result), detail)
            self._announcer.take(registration, move)

    def _on_frame(self, now_ns: int) -> None:
        self._announcer.tick(now_ns)
        for registration in self._paces.tick(now_ns, self.catalog.by_slot):
            self._roster.pace(registration)
