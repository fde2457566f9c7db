"""The figures of one scenario as a plain table for a terminal."""

from __future__ import annotations

from typing import Any

from benchmarks import summary
from benchmarks.scenario import Scenario


def render(result: dict[str, Any], scenario: Scenario) -> str:
    lines = [f"\n{scenario.title}"]
    for workload in result["workloads"]:
        lines += ["", f"  {workload}", *_aligned(_rows(result, scenario, workload))]
    lines.append("")
    lines += [f"  not here: {contender} ({why})" for contender, why in result["unavailable"].items()]
    lines += [f"  {_verdict(verdict)}" for verdict in summary.verdicts(result, scenario)]
    return "\n".join(lines)


def _rows(result: dict[str, Any], scenario: Scenario, workload: str) -> list[list[str]]:
    rows = [["", *(f"{metric.label} [{metric.unit}]" if metric.unit else metric.label for metric in scenario.metrics.values())]]
    for contender in scenario.contenders_of(workload):
        if contender in result["unavailable"]:
            continue
        row = [("* " if contender in {scenario.ours, *scenario.also_ours} else "  ") + contender]
        for name, metric in scenario.metrics.items():
            figure = summary.figure(result, workload, contender, name, more_is_better=metric.more_is_better)
            row.append(
                f"{summary.number(figure.median)} (best {summary.number(figure.best)}, ±{figure.spread / 2:.0%})"
                if figure
                else "-"
            )
        rows.append(row)
    return rows


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _verdict(verdict: summary.Verdict) -> str:
    return f"{verdict.word:>12}  {verdict.reach.what}: reach {verdict.reach}, got {summary.number(verdict.got)}"
