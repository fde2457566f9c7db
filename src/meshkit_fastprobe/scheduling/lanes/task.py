"""The task lane: async callables on persistent trio workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import trio

from meshkit_fastprobe.model import Outcome, Reason
from meshkit_fastprobe.probes.base import AsyncProbe
from meshkit_fastprobe.scheduling.lanes.base import PythonLane, Run, log
from meshkit_fastprobe.scheduling.outcomes import from_return, timed_out

AsyncCheck = Callable[[], Awaitable[Outcome | None]]


class TaskLane(PythonLane):
    """One cancel scope a worker, made anew only after it was used: entering one per run would cost as much as the run."""

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
        while not scope.cancel_called:
            run = await self._next_run()
            run.scope = scope
            self._start(run)
            try:
                outcome = from_return(await cast("AsyncProbe", run.registration.probe).check())
            except Exception as error:  # noqa: BLE001 - whatever a probe raises is its verdict
                outcome = self._outcome_of(run.registration, error)
            except BaseException:  # cancelled, alone or in a group: by our timeout, or because the runtime stops
                if scope.cancel_called:
                    self._record(run, timed_out(run.registration.probe))
                self._skip(run, Reason.SHUTTING_DOWN)
                raise
            self._record(run, timed_out(run.registration.probe) if scope.cancel_called else outcome)
            self._release(run)

    def _overrun(self, run: Run) -> None:
        assert run.scope is not None
        run.scope.cancel()

    def _abandon(self, run: Run) -> None:
        if run.scope is not None and run.started_ns:
            run.scope.cancel()
