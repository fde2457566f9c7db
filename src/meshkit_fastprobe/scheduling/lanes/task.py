"""The task lane: async callables on persistent trio workers.

Most callables are done after a cycle or two of the event loop. So a batch wakes only a share of the workers it could use, and
each takes several runs without parking in between, which would be a quarter of a run's cost. What these have not come to some
cycles later waits behind callables that block: then everybody is woken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import trio

from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe.model import Lane, Outcome, Reason
from meshkit_fastprobe.probes.base import AsyncProbe, AsyncTarget
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.scheduling.lanes.base import Clocks, EngineCommands, PythonLane, Run, log
from meshkit_fastprobe.scheduling.outcomes import from_return, own_limit, timed_out
from meshkit_fastprobe.scheduling.sharing import Sharing

FIRST_SHARE = 4
"""A batch of runs wakes one worker for this many of them, and all workers it could use as many cycles later."""
SMALL_BATCH = 16
"""Fewer runs than it takes to pay for those cycles have a worker each."""

AsyncCheck = Callable[[], Awaitable[Outcome | None]]


class TaskLane(PythonLane):
    """One cancel scope a worker, made anew only after it was used: entering one per run would cost as much as the run."""

    lane = Lane.TASK

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
        super().__init__(engine, clocks, batch, failures, wake_ingest, sharing, max_runs)
        self._targets: dict[int, AsyncTarget] = {}  # by slot: native kinds, where there is no native lane
        self.stray_datagrams = 0
        self._left = trio.Event()  # runs were left in the queue for the first workers to come back to

    def open(self, nursery: trio.Nursery) -> None:
        super().open(nursery)
        nursery.start_soon(self._look_again)

    def dispatch(self) -> None:
        queued = len(self._queue)
        if queued <= SMALL_BATCH:
            self._summon(queued)
            return
        self._summon(-(-queued // FIRST_SHARE))
        self._left.set()

    async def _look_again(self) -> None:
        while True:
            await self._left.wait()
            self._left = trio.Event()
            for _ in range(FIRST_SHARE):
                await trio.lowlevel.checkpoint()
            self._summon(len(self._queue))

    def point(self, registration: Registration, target: AsyncTarget) -> None:
        """From its next run on, ask this target; a run in flight finishes on the old one."""
        self._let_target_go(registration.slot)
        self._targets[registration.slot] = target

    def forget(self, registration: Registration) -> None:
        super().forget(registration)
        self._let_target_go(registration.slot)

    def close(self) -> None:
        super().close()
        while self._targets:
            self._targets.popitem()[1].close()

    def _let_target_go(self, slot: int) -> None:
        target = self._targets.pop(slot, None)
        run = self._runs.get(slot)
        if target is not None and (run is None or run.target is not target):
            target.close()

    def _release(self, run: Run) -> None:
        super()._release(run)
        self.stray_datagrams += getattr(run.target, "strays", 0)
        if run.target is not None and self._targets.get(run.registration.slot) is not run.target:
            run.target.close()  # replaced, or its probe removed, while it was being asked

    async def _work(self) -> None:
        while True:
            try:
                with trio.CancelScope() as scope:
                    await self._work_under(scope)
            except Exception:  # noqa: BLE001 - see below
                # A probe's own nursery may wrap an error around our cancellation. Its record is written; the worker goes on.
                log.exception("a probe raised while its timeout was being delivered")

    async def _work_under(self, scope: trio.CancelScope) -> None:
        """Run until this worker's scope is spent by a timeout."""
        while True:
            run = await self._next_run()
            run.scope = scope
            self._start(run)
            run.target = self._targets.get(run.registration.slot)
            probe = run.target or cast("AsyncProbe", run.registration.probe)
            try:
                outcome = from_return(await probe.check())
            except Exception as error:  # noqa: BLE001 - whatever a probe raises is its verdict
                limit = own_limit(error)
                if limit is not None:
                    self._skip(run, limit)
                    if run.cut:
                        return
                    continue
                outcome = self._outcome_of(run.registration, error)
            except BaseException:  # cancelled, alone or in a group: by our timeout, or because the runtime stops
                if run.cut:
                    self._record(run, timed_out(probe))
                self._skip(run, Reason.SHUTTING_DOWN)
                raise
            # An answer that was read although the time is up was there in time: it is this host that came late.
            self._record(run, timed_out(probe) if run.cut and not run.target else outcome)
            self._release(run)
            if run.cut:
                return

    def _overrun(self, run: Run) -> None:
        assert run.scope is not None
        run.cut = True
        run.scope.cancel()

    def _abandon(self, run: Run) -> None:
        if run.scope is not None and run.started_ns:
            run.cut = True
            run.scope.cancel()
