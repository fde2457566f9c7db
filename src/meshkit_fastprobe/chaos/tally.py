"""Counts of experiments for /metrics, since the start of the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.states import FINAL, HARMFUL, Phase
from meshkit_fastprobe.experiments import Experiment
from meshkit_fastprobe.telemetry.usage import ChaosUse, Durations

_ENDS: Final = sorted(FINAL)


class Tally:
    def __init__(self) -> None:
        self._active: dict[tuple[str, str], bool] = {}
        self._stuck: set[tuple[str, str]] = set()
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._recoveries = Durations()

    def took(self, run: Run) -> None:
        """A run moved."""
        fault = run.plan.fault.kind
        key = (run.experiment, fault)
        self._active[key] = run.phase in HARMFUL
        if run.phase is Phase.REVERT_FAILED:
            self._stuck.add(key)
        elif run.phase in FINAL:
            self._stuck.discard(key)
            self._outcomes[fault, str(run.phase)] += 1
            for measure in run.measures:
                if measure.recovery_s is not None:
                    self._recoveries.take(measure.recovery_s)

    def read(self, experiments: Iterable[Experiment] = ()) -> ChaosUse:
        """What the fault kind of any of these may come to is counted also at zero: a rate() needs a first point."""
        nothing_yet = {(kind, str(phase)): 0 for kind in sorted({one.fault.kind for one in experiments}) for phase in _ENDS}
        return ChaosUse(dict(self._active), frozenset(self._stuck), {**nothing_yet, **self._outcomes}, self._recoveries)
