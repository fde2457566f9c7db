"""From runs to figures: medians, spread, ratios, and whether they reach. Pure: takes a result, returns values."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.scenario import Reach, Scenario


@dataclass(frozen=True)
class Figure:
    """One metric of one contender: the median of its runs, the best of them, and (largest - smallest) / median."""

    median: float
    best: float
    spread: float


@dataclass(frozen=True)
class Verdict:
    reach: Reach
    got: float | None
    """None when it could not be measured here."""

    @property
    def met(self) -> bool:
        return self.got is not None and self.reach.met_by(self.got)

    @property
    def word(self) -> str:
        return "not measured" if self.got is None else "ok" if self.met else "MISSED"


TELLABLE = 0.01
"""A lead smaller than this is none."""


@dataclass(frozen=True)
class Loss:
    """A figure where a peer does better than we do."""

    workload: str
    metric: str
    contender: str
    theirs: float
    ours: float


def values(result: dict[str, Any], workload: str, contender: str, metric: str) -> dict[int, float]:
    """By round."""
    return {
        run["round"]: run[metric]
        for run in result["runs"]
        if run["workload"] == workload and run["contender"] == contender and run.get(metric) is not None
    }


def figure(result: dict[str, Any], workload: str, contender: str, metric: str, *, more_is_better: bool | None) -> Figure | None:
    got = list(values(result, workload, contender, metric).values())
    if not got:
        return None
    median = statistics.median(got)
    return Figure(median, max(got) if more_is_better else min(got), (max(got) - min(got)) / median if median else 0.0)


def verdict(result: dict[str, Any], scenario: Scenario, reach: Reach) -> Verdict:
    """The median; against a peer, the median of the ratios of runs of the same round, which ran side by side."""
    ours = values(result, reach.workload, reach.of or scenario.ours, reach.metric)
    if reach.against is None:
        return Verdict(reach, statistics.median(ours.values()) if ours else None)
    theirs = values(result, reach.against_workload or reach.workload, reach.against, reach.metric)
    ratios = [ours[n] / theirs[n] for n in ours.keys() & theirs.keys() if theirs[n]]
    return Verdict(reach, statistics.median(ratios) if ratios else None)


def verdicts(result: dict[str, Any], scenario: Scenario) -> list[Verdict]:
    return [verdict(result, scenario, reach) for reach in scenario.reach]


def losses(result: dict[str, Any], scenario: Scenario) -> list[Loss]:
    found = []
    for workload in result["workloads"]:
        for name, metric in scenario.metrics.items():
            ours = figure(result, workload, scenario.ours, name, more_is_better=metric.more_is_better)
            if ours is None or metric.more_is_better is None:
                continue
            for contender in scenario.contenders_of(workload):
                theirs = figure(result, workload, contender, name, more_is_better=metric.more_is_better)
                if contender in {scenario.ours, *scenario.also_ours, *scenario.floors} or theirs is None:
                    continue
                lead = theirs.median - ours.median if metric.more_is_better else ours.median - theirs.median
                if lead > TELLABLE * abs(ours.median):
                    found.append(Loss(workload, name, contender, theirs.median, ours.median))
    return found


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; a dash for what was not measured."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
