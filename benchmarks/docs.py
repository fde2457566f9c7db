"""docs/internals/benchmarks.md, written from results/*.json: what was reached, what was missed, and where a peer is better."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks import plots, runner, scenario, summary
from benchmarks.scenario import Scenario

PAGE = runner.ROOT / "docs" / "internals" / "benchmarks.md"

HEAD = """\
# Benchmarks

*For whoever wants to know what a probe costs here, against what, and where we lose. This page is written by
`python -m benchmarks --write-docs`; edit the scenarios, not the page.*

How to read it: every contender gets the same workload in a fresh process pinned to one core; what it talks to runs on another
core. CPU is that of the whole process, all threads, user and kernel. On loopback the target's half of the kernel's TCP work is
charged to the client's system call, so every network figure contains it, ours and theirs. A cell holds the median (best, ± half
the spread). A ratio is the median over rounds of ours divided by theirs, both run next to each other in that round; the order
of contenders alternates.
"""

FOOT = """\
## Where to go next

- [Architecture](architecture.md): why these costs are what they are.
- `benchmarks/README.md`: add a scenario or a contender in ten lines, and run them: `make bench ARGS="native_tcp"`.
"""


def write() -> Path:
    """What was not measured here stays on the page as it was: figures of another day are still figures."""
    before = Before(PAGE.read_text() if PAGE.exists() else "")
    measured = _results()
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    for name, (described, result) in measured.items():
        plots.write(name, described, result, PAGE.parent)
    known = {name: scenario.load(name) for name in scenario.names()}
    reach = ["## What we set out for", "", "| what | reach | got | |", "|---|---|---|---|"]
    losses = ["## Where a peer is better", ""]
    machine = ["## Measured with", ""]
    sections = []
    for name, described in known.items():
        if name in measured:
            result = measured[name][1]
            reach += _reach(described, result)
            losses += _losses(described, result)
            machine.append(_machine(result))
            sections.append(_scenario(described, result))
        else:
            reach += before.reach(described)
            losses += before.losses(described)
            machine += before.machine(name)
            sections += before.section(described.title)
    if len(losses) == 2:
        losses.append("Nowhere in the scenarios measured here.")
    parts = [HEAD, *("\n".join([*lines, ""]) for lines in (reach, losses)), *sections, "\n".join([*machine, ""]), FOOT]
    PAGE.write_text("\n".join(parts))
    return PAGE


class Before:
    """The page as it was written the last time."""

    def __init__(self, text: str) -> None:
        _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
        self._sections = {section.partition("\n")[0]: f"## {section}" for section in sections}

    def section(self, title: str) -> list[str]:
        """Without the blank line at its end; nothing when there was none."""
        return [self._sections[title].removesuffix("\n")] if title in self._sections else []

    def reach(self, described: Scenario) -> list[str]:
        starts = tuple(f"| {reach.what} |" for reach in described.reach)
        return self._lines("What we set out for", starts)

    def losses(self, described: Scenario) -> list[str]:
        return self._lines("Where a peer is better", (f"- {described.title}, ",))

    def machine(self, name: str) -> list[str]:
        return self._lines("Measured with", (f"- `{name}`:",))

    def _lines(self, title: str, starts: tuple[str, ...]) -> list[str]:
        return [line for line in self._sections.get(title, "").splitlines() if line.startswith(starts)]


def _results() -> dict[str, tuple[Scenario, dict[str, Any]]]:
    paths = {name: runner.RESULTS / f"{name}.json" for name in scenario.names()}
    return {name: (scenario.load(name), json.loads(path.read_text("utf-8"))) for name, path in paths.items() if path.exists()}


def _reach(described: Scenario, result: dict[str, Any]) -> list[str]:
    return [
        f"| {verdict.reach.what} | {verdict.reach} | {summary.number(verdict.got)} | {_word(verdict)} |"
        for verdict in summary.verdicts(result, described)
    ]


def _word(verdict: summary.Verdict) -> str:
    return f"**{verdict.word}**" if verdict.word == "MISSED" else verdict.word


def _losses(described: Scenario, result: dict[str, Any]) -> list[str]:
    lines = []
    for loss in summary.losses(result, described):
        metric = described.metrics[loss.metric]
        lines.append(
            f"- {described.title}, {loss.workload}: {metric.label} of `{loss.contender}` is {summary.number(loss.theirs)} "
            f"{metric.unit}, ours {summary.number(loss.ours)}."
        )
    return lines


def _scenario(described: Scenario, result: dict[str, Any]) -> str:
    lines = [f"## {described.title}", ""]
    for plot in plots.existing(result["scenario"], PAGE.parent):
        lines += [f"![{described.title}: {plot.stem.removeprefix('benchmarks-')}]({plot.name})", ""]
    for workload, parameters in result["workloads"].items():
        shape = ", ".join(f"{key} {value:,}" if type(value) is int else f"{key} {value}" for key, value in parameters.items())
        lines += [f"### {workload}" + (f" ({shape})" if shape else ""), ""]
        lines.append("| | " + " | ".join(_heading(metric) for metric in described.metrics.values()) + " |")
        lines.append("|---" * (len(described.metrics) + 1) + "|")
        for contender in described.contenders_of(workload):
            if contender in result["unavailable"]:
                continue
            name = f"**{contender}**" if contender in {described.ours, *described.also_ours} else contender
            cells = [_cell(result, described, workload, contender, metric) for metric in described.metrics]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [f"Not measured here: `{contender}` ({why}).\n" for contender, why in result["unavailable"].items()]
    return "\n".join(lines) + (f"\n{described.notes}" if described.notes else "")


def _heading(metric: scenario.Metric) -> str:
    return f"{metric.label} [{metric.unit}]" if metric.unit else metric.label


def _cell(result: dict[str, Any], described: Scenario, workload: str, contender: str, metric: str) -> str:
    figure = summary.figure(result, workload, contender, metric, more_is_better=described.metrics[metric].more_is_better)
    if figure is None:
        return ""
    return f"{summary.number(figure.median)} ({summary.number(figure.best)}, ±{figure.spread / 2:.0%})"


def _machine(result: dict[str, Any]) -> str:
    """Scenarios may have been measured at different commits: each says its own."""
    about = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"- `{result['scenario']}`: {result['at'][:10]}, commit {about['commit']}, {result['repeats']} rounds, "
        f"seed {result['seed']}; {about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, CPython "
        f"{about['python']}, {about['compiler']}; {packages}."
    )
