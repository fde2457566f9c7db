"""Runs whose fault could not be undone: nothing starts beside them, and each is tried again by whoever stops it."""

from __future__ import annotations

from collections.abc import Iterator

from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.states import Phase


class Stuck:
    """Of one host. Those that were undone since are remembered as they are now, for whoever holds an older look at them."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._undone: dict[str, Run] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def __iter__(self) -> Iterator[str]:
        """Their ids, in the order in which they got stuck."""
        return iter(self._runs)

    @property
    def marks(self) -> set[str]:
        return {run.plan.fault.mark for run in self._runs.values()}

    def took(self, run: Run) -> None:
        """A run moved."""
        if run.phase is Phase.REVERT_FAILED:
            self._runs[run.id] = run
        elif self._runs.pop(run.id, None) is not None:
            self._undone[run.id] = run

    def find(self, run_id: str) -> Run | None:
        return self._runs.get(run_id) or self._undone.get(run_id)

    def of(self, experiment: str) -> Run | None:
        """The first that is stuck of this experiment, or else was."""
        return next((run for run in (*self._runs.values(), *self._undone.values()) if run.experiment == experiment), None)

    def start_anew(self) -> dict[str, Run]:
        """Forget all; returns those that are stuck, by id."""
        stuck, self._runs, self._undone = self._runs, {}, {}
        return stuck
