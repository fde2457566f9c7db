"""A session: what exists only while a Diagnostics is entered. Engine, lanes, pump, resolver, those who wait for a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import trio
from numpy.typing import NDArray

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.engine import Engine
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.aggregation.windows import Windows
from meshkit_fastprobe.model import BudgetUse, Explanation, Lane, Reason, Settings
from meshkit_fastprobe.probes.catalog import Catalog, Registration
from meshkit_fastprobe.scheduling.clocks import HostClocks, TrioClocks
from meshkit_fastprobe.scheduling.explaining import Record, of_outcome, of_trace
from meshkit_fastprobe.scheduling.lanes.base import PythonLane
from meshkit_fastprobe.scheduling.lanes.task import TaskLane
from meshkit_fastprobe.scheduling.lanes.thread import ThreadLane
from meshkit_fastprobe.scheduling.placement import Placement
from meshkit_fastprobe.scheduling.pump import Notice, Pump, Records
from meshkit_fastprobe.scheduling.quorums import Quorums
from meshkit_fastprobe.scheduling.resolver import Name, Resolver
from meshkit_fastprobe.scheduling.sharing import Sharing

Clocks = HostClocks | TrioClocks

EXPLAIN_ATTEMPTS = 3
"""Runs made until one was made to be explained, not joined: then what its record says has to do."""


class Session:
    """Made on entering, started in a nursery, stopped on leaving; then thrown away."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        *,
        clocks: Clocks,
        catalog: Catalog,
        table: Table,
        windows: Windows,
        batch: RecordBatch,
        failures: Failures,
        on_transitions: Callable[[Records], None],
        on_frame: Callable[[int], None],
        interval_s: Callable[[Registration], float],
    ) -> None:
        self.engine = engine
        self._settings = settings
        self._on_frame = on_frame
        self._tell_transitions = on_transitions
        self._clocks = clocks
        self._catalog = catalog
        self._windows = windows
        self._waiters: dict[int, list[_Waiter]] = {}  # by slot; all of the probe that holds it now
        self._stopped = False
        self._traces: dict[int, dict[str, Any]] = {}  # of runs that are to be explained, until their record comes
        self.pump = Pump(
            engine,
            table,
            batch,
            failures,
            notify_s=settings.notify_s,
            on_notices=self._on_notices,
            on_transitions=self._on_transitions,
            on_ingested=self._on_ingested,
            on_explained=self._on_explained,
        )
        self._resolver = Resolver(settings.dns_ttl_s, self._on_resolved)
        self._sharing = Sharing(settings, catalog.groups)
        self._sharing.tell(engine)
        self._quorums = Quorums(catalog, table.column("state").data, batch, self.pump.wake, clocks.schedule_ns)
        task_lane = TaskLane(engine, clocks, batch, failures, self.pump.wake, self._sharing, settings.max_task_runs)
        self._placement = Placement(
            engine,
            self._resolver,
            clocks,
            settings.first_run_window_s,
            point=task_lane.point,
            is_current=lambda one: catalog.at(one.slot) is one,
            flush=self._flush_commands,
            state=table.column("state"),
            sharing=self._sharing,
            judged=self._quorums.target,
            interval_s=interval_s,
        )
        self._lanes: dict[Lane, PythonLane] = {
            Lane.TASK: task_lane,
            Lane.THREAD: ThreadLane(engine, clocks, batch, failures, self.pump.wake, self._sharing, settings.max_thread_runs),
        }

    def budgets(self) -> list[BudgetUse]:
        """What each group makes of its budget now."""
        places = [lane.places for lane in self._lanes.values()]
        return self._sharing.use(self.engine, [one.waiting for one in places], [one.skipped for one in places])

    def start(self, nursery: trio.Nursery) -> None:
        for lane in self._lanes.values():
            lane.open(nursery)
        if self._settings.engine == "thread":
            self.engine.start()
            nursery.start_soon(self.pump.run_threaded)
        else:
            nursery.start_soon(self.pump.run_inline, self._clocks.schedule_ns)
        nursery.start_soon(self.pump.run_flusher)
        nursery.start_soon(self._placement.run)
        nursery.start_soon(self._quorums.run)
        nursery.start_soon(self._resolver.run)
        nursery.start_soon(self._keep_windows)

    def stop(self) -> None:
        """Join the engine thread and take what it left; who waits for a run hears that there will be none."""
        self._stopped = True
        for lane in self._lanes.values():
            lane.close()  # the engine may have left due notices behind
        self.engine.stop()
        self.pump.flush()
        while self.pump.drain():
            pass
        for slot in list(self._waiters):
            self._dismiss(slot)

    def place(self, registrations: list[Registration]) -> int:
        """The moment from which their schedules count: a little ahead, so that none is late from the start."""
        return self._placement.place(registrations)

    def remove(self, registrations: Iterable[Registration]) -> None:
        for registration in registrations:
            self._placement.remove(registration)
            self._quorums.forget(registration.slot)
            lane = self._lanes.get(registration.lane)
            if lane is not None:
                lane.forget(registration)
            self._dismiss(registration.slot)
        self._flush_commands()

    def reschedule(self, registrations: Iterable[Registration]) -> None:
        """Their options have changed, or their states: paused, resumed, UNHEALTHY or no longer."""
        for registration in registrations:
            self._placement.reschedule(registration)
        self._flush_commands()

    def heard(self, registration: Registration, *, ok: bool) -> None:
        """A real call passed or failed; its record waits in the batch."""
        if registration.options.passive_defers_s is not None:
            self._placement.heard(registration, ok=ok)
        self.pump.wake()

    def counters(self) -> dict[str, int]:
        """Those of the engine, with what the task lane has counted of the same."""
        counted, on_trio = self.engine.stats(), self._lanes[Lane.TASK]
        assert isinstance(on_trio, TaskLane)
        counted["stray_datagrams"] += on_trio.stray_datagrams
        return counted

    async def run_once(self, registration: Registration) -> Reason | None:
        """Wait for the next result of this probe; the reason when it was skipped instead."""
        return (await self._run(registration, explain=False)).skipped

    async def explain(self, registration: Registration) -> Explanation | Reason:
        """Make a run of this probe and wait for all that can be told of it; the reason when it was skipped instead.

        A native run that was in flight already tells little: then another is made.
        """
        lookup = await self._placement.look_up(registration)
        lane = self._lanes.get(registration.lane)
        if lane is not None:
            lane.explain(registration.slot)
        try:
            for attempt in range(EXPLAIN_ATTEMPTS):
                waiter = await self._run(registration, explain=True)
                if waiter.skipped is not None:
                    return waiter.skipped
                if waiter.trace is not None or lane is not None or attempt == EXPLAIN_ATTEMPTS - 1:
                    break
        finally:
            outcome, seen = (None, None) if lane is None else lane.explained(registration.slot)
        assert waiter.record is not None, "a run that was not skipped has a record"
        at = self._clocks.wall_s(waiter.record[2])
        if waiter.trace is None:
            return of_outcome(registration, outcome, seen, waiter.record, at, lookup)
        return of_trace(registration, waiter.trace, waiter.record, at, lookup)

    async def _run(self, registration: Registration, *, explain: bool) -> _Waiter:
        waiter = _Waiter(registration.generation)
        if self._stopped or self._catalog.at(registration.slot) is not registration:  # since it was asked for
            waiter.end(Reason.SHUTTING_DOWN)
            return waiter
        lane = self._lanes.get(registration.lane)
        if lane is not None and lane.has_told(registration.slot):
            waiter.end(Reason.OVERLAP)
            return waiter
        self._waiters.setdefault(registration.slot, []).append(waiter)
        self._placement.run_now(registration, explain=explain)
        self._flush_commands()
        try:
            await waiter.done.wait()
        finally:
            if not waiter.done.is_set():
                self._give_up(registration.slot, waiter)
        return waiter

    def _give_up(self, slot: int, waiter: _Waiter) -> None:
        """Who asked has gone."""
        waiters = self._waiters.get(slot, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._waiters.pop(slot, None)

    def _dismiss(self, slot: int) -> None:
        """No run will come of it any more."""
        for waiter in self._waiters.pop(slot, []):
            waiter.end(Reason.SHUTTING_DOWN)

    def _flush_commands(self) -> None:
        if self.engine.flush():
            self.pump.wake()

    def _on_resolved(self, name: Name) -> None:
        self._placement.changed(name)
        self._flush_commands()

    def _on_notices(self, notices: list[Notice]) -> None:
        catalog = self._catalog
        touched: set[Lane] = set()
        for slot, generation, due_ns, detail, event in notices:
            registration = catalog.at(slot)
            if registration is None or registration.generation != generation:
                continue
            lane = self._lanes[registration.lane]
            if event == layout.EVENT_DUE:
                lane.due(registration, due_ns)
                touched.add(registration.lane)
            else:
                lane.deadline(registration, next_is_due=bool(detail))
        for key in touched:
            self._lanes[key].dispatch()

    def _on_transitions(self, records: Records) -> None:
        self._tell_transitions(records)
        self._quorums.moved(records["slot"][records["before"] != records["after"]].tolist())

    def _on_ingested(self, records: NDArray[np.void]) -> None:
        if not self._waiters:
            return
        for index in np.flatnonzero(np.isin(records["slot"], list(self._waiters))).tolist():
            record = records[index]
            result, reason = int(record["result"]), Reason(int(record["reason"]))
            if result in {layout.EVENT_DUE, layout.EVENT_DEADLINE} or result & layout.PASSIVE:
                continue
            if result == layout.EVENT_SKIPPED and reason in {Reason.OVERLAP, Reason.LATE, Reason.DEFERRED}:
                continue  # the run in flight, or that which was asked for, will tell
            told: Record = record.item()
            waiters = self._waiters.get(told[0])
            if not waiters or waiters[0].generation != told[1]:
                continue  # heard already; or of a probe that held the slot before
            del self._waiters[told[0]]
            trace = self._traces.pop(told[0], None)
            for waiter in waiters:
                waiter.record = told
                waiter.trace = trace if trace is not None and trace["started_ns"] == told[2] else None
                waiter.end(reason if result == layout.EVENT_SKIPPED else None)

    def _on_explained(self, trace: dict[str, Any]) -> None:
        if trace["slot"] in self._waiters:
            self._traces[trace["slot"]] = trace

    async def _keep_windows(self) -> None:
        while True:
            await trio.sleep(self._settings.window_frame_s)
            now_ns = self._clocks.schedule_ns()
            self._windows.frame(now_ns)
            self._on_frame(now_ns)


class _Waiter:
    """Somebody waits for the next result of one probe."""

    __slots__ = ("done", "generation", "record", "skipped", "trace")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.done = trio.Event()
        self.skipped: Reason | None = None
        self.record: Record | None = None
        self.trace: dict[str, Any] | None = None

    def end(self, skipped: Reason | None) -> None:
        self.skipped = skipped
        self.done.set()
