"""How long ago the last run of an experiment, or on a resource, ended: both rest for a while."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from meshkit_fastprobe.chaos.overlaps import Overlaps
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.experiments import MAX_COOLDOWN_S


class Resting:
    """Of one host, since it started. Times are on one clock that never goes back."""

    def __init__(self) -> None:
        self._ended: dict[str, float] = {}
        """The longest ago first."""
        self._overlaps = Overlaps()

    def took(self, run: Run, now: float) -> None:
        """A run has ended. What has rested for as long as anybody may ask for is forgotten."""
        for key in (run.experiment, *run.plan.fault.resources):
            self._ended.pop(key, None)
            self._overlaps.add(key)
            self._ended[key] = now
        for key in list(takewhile(lambda key: now - self._ended[key] > MAX_COOLDOWN_S, self._ended)):
            del self._ended[key]
            self._overlaps.remove(key)

    def since(self, experiment: str, resources: Iterable[str], now: float) -> dict[str, float]:
        """Seconds, by what had a run: the experiment, and whatever overlaps these resources."""
        keys = dict.fromkeys(there for key in (experiment, *resources) for there in self._overlaps.of(key))
        return {key: now - self._ended[key] for key in keys}
