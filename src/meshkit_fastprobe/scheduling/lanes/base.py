"""What the two Python lanes share: a queue of due runs, a bounded crew of persistent workers, and the engine's deadlines.

A worker parks with `wait_task_rescheduled` when there is nothing to do; waking one costs a third of a nursery task. A lane
never makes a task, a cancel scope or a timer per run: the wheel in the engine holds every timeout, and its DEADLINE notice is
a hint that the lane checks against the run's true start.

A run passes through here once: `due` queues it, a worker takes it, `_finish` writes its record and tells the engine. The engine
sends no second notice for a slot before that, so a probe is never doubled.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import ClassVar, Final, Protocol

import trio

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe.model import Lane, Outcome, Reason, Result
from meshkit_fastprobe.probes.base import AsyncTarget
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.scheduling.explaining import known_failure
from meshkit_fastprobe.scheduling.lanes.places import Places
from meshkit_fastprobe.scheduling.outcomes import from_exception
from meshkit_fastprobe.scheduling.sharing import Sharing

DEADLINE_SLACK_NS: Final = 500_000
"""A deadline notice this early still counts: the wheel's ticks and trio's clock are read at different moments."""
LOG_EVERY_S: Final = 60.0
LATENCY_BOUND_S: Final = 1e6
"""A latency that a probe gives is taken from nothing up to here; what is no time at all is measured instead."""

MALFORMED: Final = Outcome.error("returned an Outcome with a field of the wrong type or size")

log = logging.getLogger("meshkit_fastprobe.probes")


class EngineCommands(Protocol):
    """What a lane asks of the engine."""

    def finish(self, slot: int, generation: int) -> None: ...
    def deadline(self, slot: int, generation: int, due_ns: int) -> None: ...


class Clocks(Protocol):
    """Nanoseconds: now on the scheduling clock, and a clock for differences."""

    def schedule_ns(self) -> int: ...
    def latency_ns(self) -> int: ...


class Run:
    """One run of one probe, from its due notice to its record."""

    __slots__ = ("cut", "due_ns", "ended", "placed", "registration", "scope", "started_mono_ns", "started_ns", "target")

    def __init__(self, registration: Registration, due_ns: int) -> None:
        self.registration = registration
        self.due_ns = due_ns
        self.started_ns = 0  # 0 while queued
        self.started_mono_ns = 0
        self.scope: trio.CancelScope | None = None
        self.target: AsyncTarget | None = None  # of a native kind on the task lane
        self.cut = False  # its scope was cancelled for its sake
        self.placed = False  # one of the lane's places is taken for it
        self.ended = False  # its record is written, or it will never have one


Told = tuple[Outcome | None, Seen | None]
"""Of a run that is to be explained."""


class PythonLane(ABC):
    """A bounded crew of workers for callables of one sort."""

    lane: ClassVar[Lane]

    def __init__(
        self,
        engine: EngineCommands,
        clocks: Clocks,
        batch: RecordBatch,
        failures: Failures,
        wake_ingest: Callable[[], None],
        sharing: Sharing,
        max_runs: int,
    ) -> None:
        self._engine = engine
        self._clocks = clocks
        self._batch = batch
        self._failures = failures
        self._wake_ingest = wake_ingest
        self._max_runs = max_runs
        self._group_of = sharing.of_base
        self.places: Places[Run] = Places(max_runs, sharing.weights, lambda: sharing.present[self.lane])
        self._queue: deque[Run] = deque()  # of those that have a place: a worker is there for each, or comes
        self._idle: list[trio.lowlevel.Task] = []
        self._runs: dict[int, Run] = {}
        self._workers = 0
        self._nursery: trio.Nursery | None = None
        self._last_log_s: dict[str, float] = {}
        self._explaining: dict[int, Told] = {}  # by slot: what the next run says, for whom asks

    @property
    def in_flight(self) -> int:
        """Runs that a worker holds now, overrunning ones included."""
        return sum(1 for run in self._runs.values() if run.started_ns)

    def open(self, nursery: trio.Nursery) -> None:
        """Workers will live in this nursery; none is started before there is work."""
        self._nursery = nursery

    def close(self) -> None:
        """The workers are gone: what still comes due is skipped."""
        self._nursery = None
        self.dispatch()

    def due(self, registration: Registration, due_ns: int) -> None:
        """Queue a run; `dispatch` after the last one of a batch."""
        run = Run(registration, due_ns)
        self._runs[registration.slot] = run
        group = self._group_of[registration.group]
        if self.places.take(group):
            run.placed = True
            self._queue.append(run)
        else:
            self.places.wait(group, registration.slot, run)

    def has_told(self, slot: int) -> bool:
        """Its run has a record, and goes on all the same: nothing more will be heard of it."""
        run = self._runs.get(slot)
        return run is not None and run.ended

    def explain(self, slot: int) -> None:
        """Keep what the next run of this slot says."""
        self._explaining[slot] = None, None

    def explained(self, slot: int) -> Told:
        """What it said, and what it saw."""
        return self._explaining.pop(slot, (None, None))

    def dispatch(self) -> None:
        """See to it that the queued runs are taken."""
        self._summon(len(self._queue))

    def _summon(self, wanted: int) -> None:
        """Wake or start this many workers, as far as there are."""
        if self._nursery is None:
            while self._queue:
                self._skip(self._queue.popleft(), Reason.SHUTTING_DOWN)
            return
        while wanted and self._idle:
            trio.lowlevel.reschedule(self._idle.pop())
            wanted -= 1
        while wanted and self._workers < self._max_runs:
            self._workers += 1
            self._nursery.start_soon(self._work)
            wanted -= 1

    def deadline(self, registration: Registration, *, next_is_due: bool = False) -> None:
        """The wheel says that a timeout has passed since the due notice. Skip what never started, end what overran.

        When the next run is due already, the last eighth of a timeout is given up for it: only so can a timeout be as long as
        the interval.
        """
        run = self._runs.get(registration.slot)
        if run is None or run.ended or run.registration is not registration:
            return
        if not run.started_ns:
            self._skip(run, Reason.SATURATED)
            return
        timeout_ns = int(registration.options.timeout_s * 1e9)
        left_ns = timeout_ns - (self._clocks.latency_ns() - run.started_mono_ns)
        if left_ns > (max(timeout_ns // 8, DEADLINE_SLACK_NS) if next_is_due else DEADLINE_SLACK_NS):
            self._engine.deadline(registration.slot, registration.generation, self._clocks.schedule_ns() + left_ns)
        else:
            self._overrun(run)

    def forget(self, registration: Registration) -> None:
        """The probe is gone: whatever its run comes to is not recorded."""
        run = self._runs.get(registration.slot)
        if run is not None and run.registration is registration:
            run.ended = True
            self._abandon(run)
            if not run.started_ns:
                del self._runs[registration.slot]
                self._vacate(run)

    @abstractmethod
    async def _work(self) -> None:
        """A worker: take runs from the queue until cancelled."""

    @abstractmethod
    def _overrun(self, run: Run) -> None:
        """The run's timeout has passed while it runs."""

    @abstractmethod
    def _abandon(self, run: Run) -> None:
        """The run's probe is gone: end it where that is possible."""

    async def _next_run(self) -> Run:
        while True:
            while self._queue:
                run = self._queue.popleft()
                if not run.ended:
                    return run
            await self._park()

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()
        self._idle.append(task)

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._idle.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _start(self, run: Run) -> None:
        run.started_ns = self._clocks.schedule_ns()
        run.started_mono_ns = self._clocks.latency_ns()

    def _record(self, run: Run, outcome: Outcome) -> None:
        """Write the one record of a run; who does not release it now wakes the ingest."""
        if run.ended:
            return
        run.ended = True
        try:
            self._write(run, outcome)
        except (TypeError, ValueError, OverflowError) as error:  # a field of it: the mistake of this probe, and no other's
            self._log(run.registration, "returned an Outcome that no record can hold", error)
            self._write(run, MALFORMED)

    def _write(self, run: Run, outcome: Outcome) -> None:
        registration = run.registration
        given_s = outcome.latency_s
        if given_s is not None and 0.0 <= given_s < LATENCY_BOUND_S:
            latency_ns = int(given_s * 1e9)
        else:
            latency_ns = self._clocks.latency_ns() - run.started_mono_ns
        registration.message = outcome.message
        if outcome.result is not Result.OK or registration.slot in self._explaining:
            self._tell(run, outcome, latency_ns)
        self._append(
            registration,
            run.started_ns,
            latency_ns,
            max(0, run.started_ns - run.due_ns),
            outcome.detail,
            outcome.result,
            outcome.reason,
        )

    def _tell(self, run: Run, outcome: Outcome, latency_ns: int) -> None:
        """What is known of a run beside its record. ValueError when its result or reason is none that there is."""
        Result(outcome.result), Reason(outcome.reason)
        registration = run.registration
        seen = getattr(run.target, "seen", None)
        if not isinstance(seen, Seen):  # a kind of somebody else's may mean something else by it
            seen = None
        if registration.slot in self._explaining:
            self._explaining[registration.slot] = outcome, copy(seen)  # another run may begin before this is read
        failure = known_failure(outcome, seen, run.started_ns, latency_ns)
        if failure is not None:
            self._failures.tell(registration.slot, registration.generation, failure)

    def _release(self, run: Run) -> None:
        """The callable has returned: its slot may run again."""
        run.ended = True
        slot = run.registration.slot
        if self._runs.get(slot) is run:
            del self._runs[slot]
        self._engine.finish(slot, run.registration.generation)
        self._wake_ingest()
        self._vacate(run)

    def _vacate(self, run: Run) -> None:
        """Its place is for the next, or it waits no longer for one."""
        group = self._group_of[run.registration.group]
        if not run.placed:
            self.places.leave(group, run.registration.slot)
            return
        run.placed = False
        served = self.places.give_back(group)
        for one in served:
            one.placed = True
            self._queue.append(one)
        if served and self._nursery is not None and (self._idle or self._workers < self._max_runs):
            self._summon(len(served))  # once closed, who skips one run skips the next: not from within

    def _skip(self, run: Run, reason: Reason) -> None:
        if not run.ended:
            self._append(run.registration, self._clocks.schedule_ns(), 0, 0, 1, layout.EVENT_SKIPPED, reason)
        self._release(run)

    def _append(
        self, registration: Registration, started_ns: int, latency_ns: int, lag_ns: int, detail: int, result: int, reason: int
    ) -> None:
        self._batch.append(registration.slot, registration.generation, started_ns, latency_ns, lag_ns, detail, result, reason)

    def _outcome_of(self, registration: Registration, error: Exception) -> Outcome:
        """Readers get the exception's type; its text goes to the log."""
        self._log(registration, "raised", error)
        return from_exception(error)

    def _log(self, registration: Registration, what: str, error: Exception) -> None:
        """Once a minute for each probe."""
        now_s = self._clocks.latency_ns() / 1e9
        if now_s - self._last_log_s.get(registration.name, -LOG_EVERY_S) >= LOG_EVERY_S:
            if len(self._last_log_s) > 1024:
                self._last_log_s.clear()
            self._last_log_s[registration.name] = now_s
            log.info("probe %s %s", registration.name, what, exc_info=error)
