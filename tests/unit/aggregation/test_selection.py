import fnmatch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.aggregation.selection import rows_named
from meshkit_fastprobe.model import Result, State

letters = st.text(st.sampled_from("ab./-[]*?!é\n"), max_size=5)


@given(names=st.lists(letters, unique=True, max_size=12), glob=letters)
def test_globs_select_what_fnmatch_matches(names, glob):
    names.sort()
    expected = [row for row, name in enumerate(names) if fnmatch.fnmatchcase(name, glob)]
    assert rows_named(names, glob).tolist() == expected


@pytest.mark.parametrize("glob", ["b", "b*", "b?", "*", "?", "[ab]", "[!a]*", ""])
def test_globs_on_a_few_names(glob):
    names = ["a", "b", "b1", "b22", "c"]
    expected = [row for row, name in enumerate(names) if fnmatch.fnmatchcase(name, glob)]
    assert rows_named(names, glob).tolist() == expected


@pytest.fixture
def shop(world):
    world.add("api-eu", cluster="eu", namespace="web", kind="http", labels=(("tier", "1"), ("zone", "a")))
    world.add("api-us", cluster="us", namespace="web", kind="http", labels=(("tier", "1"),))
    world.add("db-eu", cluster="eu", namespace="data", kind="tcp", labels=(("zone", "a"),))
    world.add("db-us", cluster="us", namespace="data", kind="tcp")
    world.ingest("db-us", Result.FAIL)
    world.ingest("api-eu", Result.OK)
    return world


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["api-eu", "api-us", "db-eu", "db-us"]),
        ({"cluster": "eu"}, ["api-eu", "db-eu"]),
        ({"namespace": "data", "cluster": "us"}, ["db-us"]),
        ({"kind": "http"}, ["api-eu", "api-us"]),
        ({"labels": {"zone": "a"}}, ["api-eu", "db-eu"]),
        ({"labels": {"zone": "a", "tier": "1"}}, ["api-eu"]),
        ({"labels": {"zone": "b"}}, []),
        ({"labels": {}}, ["api-eu", "api-us", "db-eu", "db-us"]),
        ({"state": State.UNHEALTHY}, ["db-us"]),
        ({"state": [State.HEALTHY, State.UNKNOWN]}, ["api-eu", "api-us", "db-eu"]),
        ({"state": ()}, []),
        ({"name": "*-eu", "kind": "tcp"}, ["db-eu"]),
        ({"name": "api-eu"}, ["api-eu"]),
        ({"name": "absent", "cluster": "eu"}, []),
        ({"cluster": ""}, []),
    ],
    ids=str,
)
def test_rows_meet_all_that_is_asked_for(shop, asked, expected):
    snapshot = shop.snapshot()
    assert [snapshot.names[row] for row in snapshot.select(**asked)] == expected


def test_probes_beyond_the_bound_on_groups_are_found_by_their_own_tags(shop):
    shop.add("extra-eu", cluster="eu", namespace="web", group=0)
    shop.add("extra-us", cluster="us", namespace="web", group=0)
    snapshot = shop.snapshot()
    assert [snapshot.names[row] for row in snapshot.select(cluster="us", namespace="web")] == ["api-us", "extra-us"]


def test_rows_are_ascending_and_index_any_column(shop):
    snapshot = shop.snapshot()
    rows = snapshot.select(kind="tcp")
    assert rows.dtype == np.intp
    assert snapshot.columns["state"][rows].tolist() == [State.UNKNOWN, State.UNHEALTHY]
