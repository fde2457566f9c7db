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
    """What we set out for: `metric` of ours in `workload`, divided by that of `against` when given, within `bound`."""

    what: str
    workload: str
    metric: str
    bound: float
    against: str | None = None
    at_least: bool = False

    def met_by(self, got: float) -> bool:
        return got >= self.bound if self.at_least else got <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,g}{f' x {self.against}' if self.against else ''}"


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
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeats: int = 5
    needs_target: bool = False
    timeout_s: float = 300.0
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
    assert all(reach.workload in known and reach.metric in scenario.metrics for reach in scenario.reach), (
        f"{name}: a reach names nothing"
    )
    assert all(reach.against in {None, *scenario.contenders} for reach in scenario.reach), f"{name}: a reach names no contender"
    assert set(scenario.without) <= known, f"{name}: `without` names no workload"
    return scenario
