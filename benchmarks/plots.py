"""Plots of results as SVG beside the page: transparent, in colours that show on a light ground and on a dark one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import summary
from benchmarks.scenario import Scenario

with suppress(ModuleNotFoundError):
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

INK = "#7d8590"
"""Text and axes: contrast of about four to one on white and on near black."""
OURS, THEIRS, FLOOR = "#2a9d8f", "#8d99ae", "#c9a227"
LINES = ("#2a9d8f", "#3a86c8", "#e07a3f", "#b565a7")
STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: to be searched, and in the reader's own font
    "svg.hashsalt": "fastprobe",  # the same figures make the same file
}

Draw = Callable[["Axes", dict[str, Any], Scenario], None]


def available() -> bool:
    return "mpl" in globals()


def write(name: str, described: Scenario, result: dict[str, Any], folder: Path) -> list[Path]:
    """The plots of one scenario; none where it has none, or where matplotlib is not here."""
    if not available():
        return []
    return [_write(draw, folder / f"benchmarks-{file}.svg", described, result) for file, draw in PLOTS.get(name, {}).items()]


def existing(name: str, folder: Path) -> list[Path]:
    """The plots of one scenario that there are, of this run or of an earlier one."""
    return [path for file in PLOTS.get(name, {}) if (path := folder / f"benchmarks-{file}.svg").exists()]


def _write(draw: Draw, path: Path, described: Scenario, result: dict[str, Any]) -> Path:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        draw(figure.subplots(), result, described)
        figure.savefig(path, transparent=True, metadata={"Date": None})
    return path


def _bars(workload: str, metric: str, title: str) -> Draw:
    """A bar a contender, dearest last, from zero: lengths are to each other as costs are."""

    def draw(axes: Axes, result: dict[str, Any], described: Scenario) -> None:
        found = {
            contender: _median(result, described, workload, contender, metric)
            for contender in described.contenders_of(workload)
        }
        rows = sorted(((value, name) for name, value in found.items() if value is not None), reverse=True)
        ours = {described.ours, *described.also_ours}
        bars = axes.barh(
            [name for _value, name in rows],
            [value for value, _name in rows],
            color=[FLOOR if name in described.floors else OURS if name in ours else THEIRS for _value, name in rows],
        )
        axes.bar_label(bars, labels=[summary.number(value) for value, _name in rows], padding=3)
        _plain(axes.xaxis)
        axes.margins(x=0.1)
        axes.set_xlabel(_label(described, metric))
        axes.set_title(f"{title}, {workload}")

    return draw


def _lines(metric: str, *, by: Callable[[dict[str, Any]], float | None], of: str, title: str, log_y: bool) -> Draw:
    """A line a contender over its workloads; `by` gives a workload's place on the x axis, None leaves it out."""

    def draw(axes: Axes, result: dict[str, Any], described: Scenario) -> None:
        for contender, colour in zip(described.contenders, LINES, strict=False):
            points = [
                (at, value)
                for workload, parameters in result["workloads"].items()
                if (at := by(parameters)) is not None
                and (value := _median(result, described, workload, contender, metric)) is not None
            ]
            if points:
                axes.plot(*zip(*sorted(points), strict=True), marker="o", color=colour, label=contender)
        axes.set_xscale("log")
        _plain(axes.xaxis)
        if log_y:
            axes.set_yscale("log")
            _plain(axes.yaxis)
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(of)
        axes.set_ylabel(_label(described, metric))
        axes.set_title(title)
        axes.legend(frameon=False)

    return draw


def _plain(axis: Axis) -> None:
    """1,000 and not a power of ten with a multiplier."""
    axis.set_major_formatter(lambda value, _place: summary.number(value))
    axis.set_minor_formatter(NullFormatter())


def _median(result: dict[str, Any], described: Scenario, workload: str, contender: str, metric: str) -> float | None:
    more_is_better = described.metrics[metric].more_is_better
    figure = summary.figure(result, workload, contender, metric, more_is_better=more_is_better)
    return None if figure is None or not figure.median < float("inf") else figure.median


def _label(described: Scenario, metric: str) -> str:
    about = described.metrics[metric]
    return f"{about.label} [{about.unit}]" if about.unit else about.label


def _new_connections_per_s(parameters: dict[str, Any]) -> float | None:
    if parameters.get("keep_alive") or parameters.get("one_core"):
        return None
    return parameters["targets"] / parameters["interval_s"] or None


CPU = "cpu_us_per_check"
PLOTS: dict[str, dict[str, Draw]] = {
    "native_tcp": {
        "tcp-peers": _bars("4,000/s", CPU, "A TCP check"),
        "tcp-python": _bars("10,000/s", CPU, "A TCP check"),
    },
    "native_http": {
        "http-new": _bars("new connection, 4,000/s", CPU, "An HTTP check"),
        "http-kept": _bars("keep-alive, 1,200 connections", CPU, "An HTTP check"),
    },
    "latency_truth": {"latency": _bars("5,000/s", "p99_ms", "Connect latency as reported")},
    "host_loop": {
        "host-lag": _lines(
            "lag_p99_us",
            by=_new_connections_per_s,
            of="TCP checks a second asked for",
            title="Lag of a 1 ms sleep in the host's loop",
            log_y=True,
        )
    },
    "scaling": {
        "scaling": _lines(
            CPU,
            by=lambda parameters: parameters["targets"],
            of="probes, 10,000 checks a second among them",
            title="What a check costs among ever more probes",
            log_y=False,
        )
    },
}
"""By scenario: file name without benchmarks- and .svg, and how it is drawn."""
