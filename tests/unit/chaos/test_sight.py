"""What the probes say of an experiment's subjects is what counting them one by one would say."""

from __future__ import annotations

from collections import defaultdict
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.sight import MIN_SEEN, group_names, groups_of, remaining_up, rows_of, share_up
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.model import Result, State
from tests.unit.aggregation.conftest import World

UP = {State.HEALTHY, State.DEGRADED}

probes = st.lists(
    st.tuples(
        st.sampled_from(["", "eu", "us"]),
        st.sampled_from(["", "pay", "web"]),
        st.sampled_from([(), (("tier", "1"),), (("tier", "1"), ("zone", "a"))]),
        st.sampled_from([None, Result.OK, Result.DEGRADED, Result.FAIL, "paused", "stale", "beyond the bound on groups"]),
    ),
    max_size=12,
)
selectors = st.builds(
    Selector,
    name=st.sampled_from([None, "p1*", "p2", "*"]),
    cluster=st.sampled_from([None, "eu", "nowhere"]),
    namespace=st.sampled_from([None, "pay", ""]),
    labels=st.sampled_from([(), (("tier", "1"),), (("zone", "a"),), (("zone", "b"),)]),
)


def populated(world, made):
    for number, (cluster, namespace, labels, told) in enumerate(made):
        group = 0 if told == "beyond the bound on groups" else None
        world.add(f"p{number}", cluster=cluster, namespace=namespace, labels=labels, group=group)
    world.wait(100)
    for number, (*_, told) in enumerate(made):
        if told == "paused":
            world.pause(f"p{number}")
        elif isinstance(told, Result):
            world.ingest(f"p{number}", told)
    return world


def place(view, made):
    return "/" if made[int(view.name[1:])][-1] == "beyond the bound on groups" else f"{view.cluster}/{view.namespace}"


def one_by_one(snapshot, made, selector):
    """Names, share up, remaining and groups: of views, as people read them."""
    views = snapshot.views(range(len(snapshot)))
    chosen = [
        view
        for view in views
        if (selector.name is None or fnmatchcase(view.name, selector.name))
        and selector.cluster in {None, view.cluster}
        and selector.namespace in {None, view.namespace}
        and set(selector.labels) <= set(view.labels.items())
    ]
    seeing = [view for view in chosen if view.state in UP | {State.UNHEALTHY} and not view.stale]
    share = None
    if chosen and len(seeing) >= MIN_SEEN * len(chosen):
        share = sum(view.state in UP for view in seeing) / len(seeing)
    of_place = defaultdict(list)
    for view in views:
        of_place[place(view, made)].append(view)
    groups = tuple(sorted({place(view, made) for view in chosen}))
    remaining = {
        name: sum(view.state in UP and view not in chosen for view in of_place[name]) / len(of_place[name]) for name in groups
    }
    return [view.name for view in chosen], share, remaining, groups


@given(made=probes, selector=selectors)
def test_a_glance_and_a_snapshot_say_what_counting_one_by_one_says(made, selector):
    world = populated(World(), made)
    snapshot = world.snapshot()
    expected = one_by_one(snapshot, made, selector)
    for seen in (snapshot, world.glance()):
        rows = rows_of(seen, selector)
        told = [seen.names[row] for row in rows]
        assert (told, share_up(seen, selector), remaining_up(seen, rows), groups_of(seen, rows)) == expected
        shares = (share_up(seen, selector), *remaining_up(seen, rows).values())
        assert {type(share) for share in shares} <= {float, type(None)}, "the journal can write it down"
        assert tuple(sorted(set(group_names(seen, rows)))) == expected[3]


@given(made=probes)
def test_a_glance_is_of_now_however_often_one_was_taken(made):
    world = populated(World(), made)
    for result in (Result.FAIL, Result.OK, Result.DEGRADED):
        for number in range(len(made)):
            world.ingest(f"p{number}", result)
        snapshot, glance = world.snapshot(), world.glance()
        for name, column in glance.columns.items():
            assert column.tolist() == snapshot.columns[name].tolist()
        world.wait(2)


def test_a_glance_stands_still_while_the_table_goes_on():
    world = World()
    world.add("a", cluster="eu", namespace="pay")
    glance = world.glance()
    world.ingest("a", Result.FAIL)
    world.add("b", cluster="us", namespace="web")
    assert glance.columns["state"].tolist() == [State.UNKNOWN]
    assert glance.names == ["a"]
    with pytest.raises(AttributeError):
        glance.columns = {}
    assert remaining_up(glance, rows_of(glance, Selector(cluster="eu"))) == {"eu/pay": 0.0}
