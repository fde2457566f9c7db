"""Which experiments a host knows: those of its configuration, those of requests, and those that are gone but not over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

import msgspec

from meshkit_fastprobe.chaos.faults.base import Backing, FaultError, FaultHost
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.config.chaos_shapes import MAX_EXPERIMENTS
from meshkit_fastprobe.experiments import ChaosSettings, Experiment, FaultLike, Selector, SteadyState


class KnownExperiments:
    """Of one host."""

    def __init__(self, settings: ChaosSettings) -> None:
        self.by_id: dict[str, Experiment] = {one.id: one for one in settings.experiments}
        self._configured = set(self.by_id)
        self._leaving: set[str] = set()
        """Gone from the configuration, or with an earlier process; known until what runs of them is over."""

    def find(self, experiment_id: str) -> Experiment:
        found = self.by_id.get(experiment_id)
        if found is None:
            raise ChaosRefusedError(
                Refusal.UNKNOWN, f"no experiment is named {experiment_id[:256]!r}", "list them: fastprobe chaos list"
            )
        return found

    def register(self, experiment: Experiment) -> None:
        """Make one known until the host stops."""
        if experiment.id in self.by_id:
            raise ChaosRefusedError(Refusal.DUPLICATE, f"{experiment.id} exists already", "choose another id")
        if len(self.by_id) >= MAX_EXPERIMENTS:
            raise ChaosRefusedError(Refusal.GUARDED, f"there are {MAX_EXPERIMENTS} experiments, which is the bound")
        self.by_id[experiment.id] = experiment

    def configure(self, settings: ChaosSettings, in_force: Iterable[Run]) -> None:
        """Those of another configuration, beside those of requests, and those of the old one that runs are in force of."""
        found = {one.id: one for one in settings.experiments}
        configured = self._configured | self._leaving
        self._leaving = {run.experiment for run in in_force if run.experiment in configured} - found.keys()
        kept = {key: one for key, one in self.by_id.items() if key not in configured or key in self._leaving}
        self.by_id, self._configured = kept | found, set(found)

    def left_behind(self, run: Run) -> None:
        """A fault of an earlier process could not be undone: who is to stop it has to find its experiment."""
        if run.experiment not in self.by_id:
            self.by_id[run.experiment] = _remembered(run)
            self._leaving.add(run.experiment)

    def must_be_as(self, experiment: Experiment) -> None:
        """ChaosRefusedError when it is gone or another by now: nobody says yes to what it was."""
        if self.find(experiment.id) != experiment:
            hint = f"prepare it: fastprobe chaos prepare {experiment.id}"
            raise ChaosRefusedError(Refusal.WRONG_PHASE, f"{experiment.id} was configured anew", hint)

    def over(self, run: Run, in_force: Iterable[Run]) -> None:
        """It has ended: what was known only for its sake, and not for others in force, is forgotten."""
        if run.experiment in self._leaving and all(other.experiment != run.experiment for other in in_force):
            self._leaving.remove(run.experiment)
            del self.by_id[run.experiment]


class Remembered(dict[str, Any]):
    """The parameters of a fault as its plan tells them. Its kind may be gone as well: nothing can be made of it any more."""

    lasts: ClassVar[bool] = True

    def __init__(self, kind: str, parameters: dict[str, Any]) -> None:
        super().__init__(parameters)
        self.kind = kind

    async def preflight(self, _host: FaultHost) -> tuple[Backing, ...]:
        raise FaultError("it is no experiment any more, and known only until its fault is undone")


def _remembered(run: Run) -> Experiment:
    plan = run.plan
    return Experiment(
        id=run.experiment,
        fault=cast("FaultLike", Remembered(plan.fault.kind, plan.parameters)),
        duration_s=plan.duration_s,
        steady_state=msgspec.convert(plan.steady_state, SteadyState | None),
        affects=msgspec.convert(plan.affects, Selector | None),
        recovery_s=plan.recovery_s,
        two_person=plan.two_person,
        says="no experiment any more; known until its fault is undone: fastprobe chaos stop",
    )
