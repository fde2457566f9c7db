"""The thread lane: sync callables on worker threads of their own limiter.

Python cannot stop a thread. A callable that overruns is reported as TIMEOUT at its deadline, keeps its worker until it
returns, and is not started again before that: the dues in between are skipped as `overlap`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import trio

from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe.model import Lane, Outcome, Reason
from meshkit_fastprobe.probes.base import SyncProbe
from meshkit_fastprobe.scheduling.lanes.base import Clocks, EngineCommands, PythonLane, Run
from meshkit_fastprobe.scheduling.outcomes import TIMED_OUT, from_return, own_limit
from meshkit_fastprobe.scheduling.sharing import Sharing


class ThreadLane(PythonLane):
    lane = Lane.THREAD

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
        self._limiter = trio.CapacityLimiter(max_runs)

    async def _work(self) -> None:
        while True:
            run = await self._next_run()
            self._start(run)
            outcome = await self._call(run)
            if isinstance(outcome, Reason):
                self._skip(run, outcome)
                continue
            self._record(run, outcome)
            self._release(run)

    async def _call(self, run: Run) -> Outcome | Reason:
        """What it came to, or the limit of ours that kept it from coming to anything."""
        try:
            # Abandoned only when the runtime stops: a callable that never returns must not keep the process from leaving.
            value = await trio.to_thread.run_sync(
                cast("SyncProbe", run.registration.probe).check, limiter=self._limiter, abandon_on_cancel=True
            )
        except Exception as error:  # noqa: BLE001 - whatever a probe raises is its verdict
            return own_limit(error) or self._outcome_of(run.registration, error)
        except BaseException:  # the runtime stops
            self._skip(run, Reason.SHUTTING_DOWN)
            raise
        return from_return(value)

    def _abandon(self, run: Run) -> None:
        """A thread cannot be stopped: it ends by itself, and nobody listens."""

    def _overrun(self, run: Run) -> None:
        self._record(run, TIMED_OUT)
        self._wake_ingest()
