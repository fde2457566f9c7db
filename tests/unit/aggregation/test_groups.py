"""Groups beside a naive count: every probe and every result looked at one by one, in plain Python."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe.aggregation.groups import MAX_TAGS, QUANTILES
from meshkit_fastprobe.model import Result, State

BOUNDS_S = histogram.upper_bounds_s()
probes = st.lists(
    st.fixed_dictionaries(
        {
            "cluster": st.sampled_from(["eu", "us"]),
            "namespace": st.sampled_from(["", "orders", "web"]),
            "kind": st.sampled_from(["tcp", "http"]),
            "labels": st.sampled_from([(), (("zone", "a"),), (("tier", "1"), ("zone", "b"))]),
        }
    ),
    min_size=1,
    max_size=12,
)
runs = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(Result), st.sampled_from([0.0002, 0.003, 0.8])), max_size=60)
tags = st.lists(st.sampled_from(["cluster", "namespace", "kind", "zone", "tier", "absent"]), unique=True, max_size=6)


def tag_values(probe, by):
    known = {**dict(probe["labels"]), **{key: probe[key] for key in ("cluster", "namespace", "kind")}}
    return tuple(known.get(tag, "") for tag in by)


def bound_of(latency_s):
    return math.inf if math.isinf(latency_s) else BOUNDS_S[histogram.bucket(round(latency_s * 1e9))]


def bucket_bounds(latencies_s, share):
    """Between which bounds the quantile lies: those of the bucket of the value it stands for."""
    rank = max(math.ceil(share * len(latencies_s)), 1)
    value_s = sorted(latencies_s)[rank - 1]
    bucket = len(BOUNDS_S) - 1 if math.isinf(value_s) else histogram.bucket(round(value_s * 1e9))
    return (BOUNDS_S[bucket - 1] if bucket else 0.0), BOUNDS_S[bucket]


@given(asked=probes, ran=runs, by=tags, window=st.sampled_from([None, "1m", "5m", "1h"]))
def test_reports_are_those_of_a_naive_count(make_world, asked, ran, by, window):
    world = make_world()
    for number, probe in enumerate(asked):
        world.add(f"p{number}", **probe)
    world.windows.frame(world.now_ns)
    world.wait(2)
    results = [(number % len(asked), result, latency_s) for number, result, latency_s in ran]
    for number, result, latency_s in results:
        world.ingest(f"p{number}", result, latency_s=latency_s)
    snapshot = world.snapshot()

    members, counted, latencies = Counter(), defaultdict(Counter), defaultdict(list)
    states = defaultdict(Counter)
    for number, probe in enumerate(asked):
        key = tag_values(probe, by)
        members[key] += 1
        states[key][State(snapshot[f"p{number}"].state).name.lower()] += 1
    for number, result, latency_s in results:
        key = tag_values(asked[number], by)
        counted[key][result.name.lower()] += 1
        if result is not Result.ERROR:
            latencies[key].append(math.inf if result is Result.TIMEOUT else latency_s)

    found = snapshot.groups(by=by, window=window, buckets=True)
    assert [tuple(group.tags.values()) for group in found] == sorted(members)
    for group in found:
        key = tuple(group.tags.values())
        assert tuple(group.tags) == tuple(by)
        assert group.probes == members[key]
        assert {state: n for state, n in group.states.items() if n} == dict(states[key])
        assert {result: n for result, n in group.results.items() if n} == dict(counted[key])
        assert group.runs == counted[key].total()
        assert group.rate_per_s == pytest.approx(group.runs / 2)
        passed = counted[key]["ok"] + counted[key]["degraded"]
        assert group.success_ratio == (pytest.approx(passed / group.runs) if group.runs else None)
        assert group.buckets == dict(Counter(bound_of(latency_s) for latency_s in latencies[key]))
        for share, value_s in zip(QUANTILES.tolist(), (group.p50_s, group.p90_s, group.p99_s), strict=True):
            if not latencies[key]:
                assert value_s is None
            else:
                lower_s, upper_s = bucket_bounds(latencies[key], share)
                assert lower_s <= value_s <= upper_s


def test_no_tags_at_all_is_one_group(world):
    world.add("a", namespace="n1")
    world.add("b", namespace="n2")
    (group,) = world.snapshot().groups(by=())
    assert (group.tags, group.probes) == ({}, 2)


def test_no_probes_are_no_groups(world):
    assert world.snapshot().groups(by=()) == []
    assert world.snapshot().groups() == []


def test_a_label_does_not_pass_for_a_cluster(world):
    world.add("a", cluster="real", labels=(("cluster", "claimed"),))
    assert [group.tags for group in world.snapshot().groups(by=("cluster",))] == [{"cluster": "real"}]


def test_a_group_whose_probes_are_gone_is_not_shown_but_the_rest_of_its_tags_counts_it(world):
    world.add("gone", namespace="n1")
    world.add("here", namespace="n2")
    world.windows.frame(world.now_ns)
    world.wait(1)
    world.ingest("gone", Result.OK, Result.OK)
    world.remove("gone")
    snapshot = world.snapshot()
    assert [group.tags["namespace"] for group in snapshot.groups(by=("namespace",))] == ["n2"]
    (everything,) = snapshot.groups(by=("cluster",), window="1m")
    assert (everything.probes, everything.runs) == (1, 2)


def test_groups_that_come_after_a_report_are_in_the_next(world):
    world.add("a", namespace="n1")
    assert len(world.snapshot().groups(by=("namespace",))) == 1
    world.add("b", namespace="n2")
    assert [group.tags["namespace"] for group in world.snapshot().groups(by=("namespace",))] == ["n1", "n2"]


def test_quantiles_among_the_timeouts_are_infinite(world):
    world.add("a")
    world.ingest("a", *[Result.OK] * 95, *[Result.TIMEOUT] * 5)
    (group,) = world.snapshot().groups(by=())
    assert group.p50_s < 0.01
    assert group.p99_s == math.inf


def test_a_group_goes_on_counting_when_the_two_bytes_of_a_counter_are_full(world):
    world.add("a")
    world.windows.frame(world.now_ns)
    world.wait(1)
    world.ingest("a", *[Result.OK] * 70_000)
    (group,) = world.snapshot().groups(by=(), window="1m")
    histograms = world.windows.sums("1m", np.zeros(len(world.catalog.groups), np.intp), 1).histograms
    assert (group.runs, histograms.sum()) == (70_000, 70_000)


def test_stale_probes_of_a_group_are_counted(world):
    for name in ("a", "b", "c"):
        world.add(name)
    world.wait(60)
    world.ingest("b", Result.OK)
    (group,) = world.snapshot().groups(by=())
    assert group.stale == 2


def test_the_seconds_of_a_report_are_those_really_covered(world):
    world.add("a")
    world.windows.frame(world.now_ns)
    world.wait(7.5)
    assert world.snapshot().groups(by=(), window="1h")[0].seconds == 7.5


def test_a_report_without_time_has_no_rate(world):
    world.add("a")
    assert world.snapshot().groups(by=())[0].rate_per_s is None


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("cluster", r"give the tags as a sequence, like \('cluster',\)"),
        (("cluster", "cluster"), "each once"),
        (("",), "each once"),
        (tuple(map(str, range(MAX_TAGS + 1))), f"at most {MAX_TAGS} tags"),
    ],
)
def test_tags_that_cannot_be_are_refused_with_the_bound(world, by, told):
    with pytest.raises(ValueError, match=told):
        world.snapshot().groups(by=by)


def test_numberings_of_tags_that_readers_invent_are_not_kept_for_ever(world):
    world.add("a")
    snapshot = world.snapshot()
    for number in range(200):
        snapshot.groups(by=(f"label{number}",))
    assert len(world.builder.reports._numberings) <= 16
