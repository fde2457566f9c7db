"""Runs whose fault is in force, about to be, or not undone: found by what they work on and whom they concern.

Kept from move to move, so that whoever wants to start is judged beside hundreds of others without a look at each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Final

import msgspec

from meshkit_fastprobe.chaos.overlaps import Overlaps
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.states import LIVE

TOLD: Final = 3
"""Names that a refusal tells; how many there are, it tells besides."""


class Others(msgspec.Struct, frozen=True):
    """How many there are, and the ids of the first of them."""

    count: int = 0
    some: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.some)


NOBODY: Final = Others()


class Beside(msgspec.Struct, frozen=True):
    """What an experiment would run beside.

    groups: those of its groups that bear any. sharing: ids of those that work on its resources, or on what overlaps them,
    each with what that is.
    """

    all: Others = NOBODY
    groups: Mapping[str, Others] = {}
    sharing: Mapping[str, tuple[str, ...]] = {}


class InForce:
    """Of one host."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._of_experiment: dict[str, dict[str, None]] = {}
        self._of_group: dict[str, dict[str, None]] = {}
        self._of_resource: dict[str, dict[str, None]] = {}
        self._resources = Overlaps()

    def __iter__(self) -> Iterator[Run]:
        """Each as it was when it moved last, in the order in which they came."""
        return iter(self._runs.values())

    def __len__(self) -> int:
        return len(self._runs)

    def took(self, run: Run) -> None:
        """A run moved. What it works on and whom it concerns never changes."""
        known, live = run.id in self._runs, run.phase in LIVE
        if live:
            self._runs[run.id] = run
        elif known:
            del self._runs[run.id]
        if live == known:
            return
        for index, key in self._keys(run):
            if live:
                if index is self._of_resource and key not in index:
                    self._resources.add(key)
                index.setdefault(key, {})[run.id] = None
            else:
                del index[key][run.id]
                if not index[key]:
                    del index[key]
                    if index is self._of_resource:
                        self._resources.remove(key)

    def beside(self, experiment: str, resources: Collection[str], groups: Collection[str]) -> Beside:
        """Without those of the experiment itself."""
        own = self._of_experiment.get(experiment, {})
        bearing = {group: _others(self._of_group.get(group, {}), own) for group in groups}
        sharing: dict[str, list[str]] = {}
        for there in sorted({there for resource in resources for there in self._resources.of(resource)}):
            for run in self._of_resource[there]:
                if run not in own:
                    sharing.setdefault(run, []).append(there)
        return Beside(
            _others(self._runs, own),
            {group: others for group, others in bearing.items() if others.count},
            {run: tuple(shared) for run, shared in sharing.items()},
        )

    def _keys(self, run: Run) -> Iterator[tuple[dict[str, dict[str, None]], str]]:
        yield self._of_experiment, run.experiment
        yield from ((self._of_group, group) for group in set(run.groups))
        yield from ((self._of_resource, resource) for resource in set(run.plan.fault.resources))


def _others(runs: Mapping[str, object], own: Mapping[str, object]) -> Others:
    count = len(runs) - sum(run in runs for run in own)
    return Others(count, tuple(islice((run for run in runs if run not in own), TOLD)))
