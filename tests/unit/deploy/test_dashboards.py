import json
import re
from pathlib import Path

import pytest

from deploy.grafana.__main__ import written
from meshkit_fastprobe.telemetry import names

DASHBOARDS = {path.stem: path for path in written()}
RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules"
RECORDED = re.findall(r"record: (\S+)", (RULES / "recording.yml").read_text(encoding="utf-8"))


def known():
    histograms = {metric.name for metric in names.ALL if metric.type == "histogram"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return {metric.name for metric in names.ALL} | parts | set(RECORDED)


@pytest.mark.parametrize("path", written(), ids=lambda path: path.stem)
def test_the_written_dashboards_are_what_the_module_makes(path):
    assert path.read_text(encoding="utf-8") == written()[path], "write them anew: python -m deploy.grafana"


@pytest.mark.parametrize("path", written(), ids=lambda path: path.stem)
def test_a_dashboard_asks_for_source_cluster_and_namespace_first(path):
    board = json.loads(path.read_text(encoding="utf-8"))
    assert [one["name"] for one in board["templating"]["list"]][:3] == ["source", "cluster", "namespace"]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${source}"}


@pytest.mark.parametrize("path", written(), ids=lambda path: path.stem)
def test_panels_have_ids_of_their_own_and_do_not_overlap(path):
    panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(0 <= x < 24 for x, _ in cells)


@pytest.mark.parametrize("path", written(), ids=lambda path: path.stem)
def test_queries_ask_for_metrics_that_there_are(path):
    expressions = re.findall(r'"(?:expr|definition)": "((?:[^"\\]|\\.)*)"', path.read_text(encoding="utf-8"))
    assert expressions
    asked = {name for text in expressions for name in re.findall(r"[a-z_]*:?meshkit_[a-z_]+(?::\w+)?", text)}
    assert asked - known() == set()


def test_uids_are_those_that_links_rely_on():
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in written()]
    assert [board["uid"] for board in boards] == [f"fastprobe-{name}" for name in DASHBOARDS]
