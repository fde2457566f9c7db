"""Who probes what, out of the probes that hosts tell of."""

import pytest

from meshkit_fastprobe.cli.shards import shards


def held(*names, cluster="eu-1", namespace="orders"):
    return [{"name": name, "cluster": cluster, "namespace": namespace} for name in names]


def test_a_name_on_several_hosts_is_one_probe_with_several_vantage_points():
    [item] = shards([("cp-1", held("a", "b", "c")), ("cp-2", held("b", "c")), ("cp-3", held("c"))])
    assert item["probes"] == 3
    assert item["hosts"] == [{"host": "cp-1", "probes": 3}, {"host": "cp-2", "probes": 2}, {"host": "cp-3", "probes": 1}]
    assert item["vantagePoints"] == {"min": 1, "max": 3}


def test_the_same_name_elsewhere_is_another_probe():
    items = shards([("cp-1", held("a")), ("cp-2", held("a", namespace="edge"))])
    assert [(item["namespace"], item["probes"], item["vantagePoints"]) for item in items] == [
        ("edge", 1, {"min": 1, "max": 1}),
        ("orders", 1, {"min": 1, "max": 1}),
    ]


@pytest.mark.parametrize("holders", [[], [("cp-1", [])]])
def test_where_nothing_is_probed_there_is_no_shard(holders):
    assert shards(holders) == []
