"""What a scenario is: data. A module in scenarios/ holds one as SCENARIO; its file name is its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks import scenarios


@dataclass(frozen=True)
class Metric:
    """One figure that contenders return. `more_is_better` None: shown, never compared."""

    label: str
    unit: str
    more_is_better: bool | None = False


@dataclass(frozen=True)
class Reach:
    """What we set out for: `metric` of `of` (ours, if None) in `workload`, within `bound`.

    Divided by that of `against` when given, in `against_workload` if that is another: `against` may be `of` itself then.
    """

    what: str
    workload: str
    metric: str
    bound: float
    against: str | None = None
    at_least: bool = False
    of: str | None = None
    against_workload: str | None = None

    def met_by(self, got: float) -> bool:
        return got >= self.bound if self.at_least else got <= self.bound

    def __str__(self) -> str:
        beside = f" x {self.against}" if self.against else ""
        where = f" at {self.against_workload}" if self.against_workload else ""
        return f"{'≥' if self.at_least else '≤'} {self.bound:,g}{beside}{where}"


@dataclass(frozen=True)
class Scenario:
    """The same workload for every contender; `contenders` are modules of contenders/, `ours` is one of them.

    without: contenders left out of a workload (too slow to wait for), by workload. needs_target: each run gets a fresh target
    server on the other core, its port as workload["port"].
    """

    title: str
    ours: str
    contenders: tuple[str, ...]
    workloads: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Metric]
    reach: tuple[Reach, ...] = ()
    also_ours: tuple[str, ...] = ()
    """Contenders that are ours too, in another mode: no peers that could be better than we are."""
    floors: tuple[str, ...] = ()
    """Contenders that make the same system calls and do nothing else: what there is to reach, and no peers either."""
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeats: int = 5
    needs_target: bool = False
    timeout_s: float = 300.0
    only_by_name: bool = False
    """Takes so long that it runs only when asked for."""
    notes: str = ""
    """What a reader must know to read the figures: printed below the table."""

    def contenders_of(self, workload: str) -> list[str]:
        return [name for name in self.contenders if name not in self.without.get(workload, ())]


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(scenarios.__path__))


def load(name: str) -> Scenario:
    scenario: Scenario = importlib.import_module(f"benchmarks.scenarios.{name}").SCENARIO
    known = set(scenario.workloads)
    assert scenario.ours in scenario.contenders, f"{name}: ours is not a contender"
    assert {*scenario.also_ours, *scenario.floors} <= set(scenario.contenders), f"{name}: also_ours or floors: no contender"
    assert all(reach.workload in known and reach.metric in scenario.metrics for reach in scenario.reach), (
        f"{name}: a reach names nothing"
    )
    assert all({reach.of, reach.against} <= {None, *scenario.contenders} for reach in scenario.reach), (
        f"{name}: a reach names no contender"
    )
    assert all(reach.against_workload in {None, *known} for reach in scenario.reach), f"{name}: a reach names no workload"
    assert set(scenario.without) <= known, f"{name}: `without` names no workload"
    return scenario
