import re
from pathlib import Path

import pytest

from meshkit_fastprobe._native.histogram import upper_bounds_s
from meshkit_fastprobe.telemetry import names

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


@pytest.mark.parametrize("metric", names.ALL, ids=lambda metric: metric.name)
def test_a_metric_is_named_by_the_rules(metric):
    assert re.fullmatch(r"meshkit_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert metric.name.endswith("_info") == (metric.type == "info")
    assert metric.help.endswith(".")
    assert not set(metric.help) & set('\\"\n'), "help texts are written unescaped"


def test_the_reference_lists_every_metric_and_no_other():
    documented = re.findall(r"^\| `(meshkit_\w+)` \| (\w+) \|", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == [(metric.name, metric.type) for metric in names.ALL]


def test_the_edges_are_bounds_of_our_own_buckets():
    bounds = upper_bounds_s()
    assert [float(le) for le, _ in names.EDGES] == [bounds[bucket] for _, bucket in names.EDGES]


def test_the_reference_lists_the_edges():
    listed = [f"{float(le):.12f}".rstrip("0").rstrip(".") for le, _ in names.EDGES]
    assert ", ".join(listed) in " ".join(REFERENCE.read_text(encoding="utf-8").split())
