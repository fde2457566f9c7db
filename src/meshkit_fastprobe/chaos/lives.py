"""The newest run of each experiment, and what may be done with it as it stands."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from meshkit_fastprobe.chaos.known import KnownExperiments
from meshkit_fastprobe.chaos.life import Life
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.states import LIVE, WAITING, Phase
from meshkit_fastprobe.chaos.stuck import Stuck


class Lives:
    """Of this process, whatever they came to; those of an earlier one that are, or were, stuck are looked up in `stuck`."""

    def __init__(self, known: KnownExperiments, stuck: Stuck) -> None:
        self._known = known
        self._stuck = stuck
        self._newest: dict[str, Life] = {}
        self._expires: dict[str, float] = {}

    def __iter__(self) -> Iterator[Life]:
        return iter(self._newest.values())

    def start_anew(self) -> None:
        self._newest, self._expires = {}, {}

    # -- looking -------------------------------------------------------------------------------------------------------------

    def get(self, experiment_id: str) -> Life | None:
        return self._newest.get(experiment_id)

    def of(self, run: Run) -> Life | None:
        """The life of this very run; None: it is an older one, or one of an earlier process."""
        life = self._newest.get(run.experiment)
        return life if life is not None and life.run.id == run.id else None

    def current(self, experiment_id: str) -> Run | None:
        """The newest run of this process, or one of an earlier that is, or was, stuck."""
        life = self._newest.get(experiment_id)
        return self._stuck.of(experiment_id) if life is None else life.run

    def as_it_is(self, run: Run) -> Run:
        life = self.of(run)
        return life.run if life is not None else self._stuck.find(run.id) or run

    # -- what may be done ----------------------------------------------------------------------------------------------------

    def waiting(self, experiment_id: str, *phases: Phase) -> Life:
        """One that can be approved, or confirmed; ChaosRefusedError when nothing of the experiment can."""
        self._known.find(experiment_id)
        life = self._newest.get(experiment_id)
        if life is None or life.run.phase not in phases:
            stands = "has not been prepared" if life is None else f"is {life.run.phase}"
            raise ChaosRefusedError(
                Refusal.WRONG_PHASE, f"{experiment_id} {stands}", f"prepare it: fastprobe chaos prepare {experiment_id}"
            )
        self._known.must_be_as(life.experiment)
        return life

    def must_not_be_live(self, experiment_id: str) -> None:
        life = self._newest.get(experiment_id)
        if life is not None and life.run.phase in LIVE:
            raise ChaosRefusedError(
                Refusal.WRONG_PHASE, f"{life.run.id} is {life.run.phase}", f"stop it: fastprobe chaos stop {experiment_id}"
            )

    # -- moving --------------------------------------------------------------------------------------------------------------

    def await_confirmation(self, life: Life, lasts_s: float) -> None:
        """Make it the newest, for so long; an earlier one that waits is taken back."""
        before = self._newest.get(life.experiment.id)
        if before is not None and before.run.phase in WAITING:
            before.move(Phase.CANCELLED, f"prepared again as {life.run.id}")
        self._newest[life.experiment.id] = life
        self._expires[life.experiment.id] = trio.current_time() + lasts_s

    def take_back_changed(self) -> None:
        """Whatever waits, and would be done as its experiment is no more: it was judged, and allowed, by what that was."""
        for life in self._newest.values():
            now = self._known.by_id.get(life.experiment.id)
            if life.run.phase in WAITING and now is not None and now != life.experiment:
                life.move(Phase.CANCELLED, "it was configured anew: prepare it again")

    def let_lapse(self) -> None:
        """Whatever was not confirmed in time."""
        for experiment, life in self._newest.items():
            if life.run.phase in WAITING and trio.current_time() >= self._expires[experiment]:
                life.move(Phase.EXPIRED, "it was not confirmed in time")
