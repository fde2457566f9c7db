"""Objectives: what counts of a stretch of time, what is sure, and what nobody could see."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe._native import histogram
from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.chaos.scenarios.judging import BUCKET, Meter, Sums, Verdict, difference, judge_measured, quantile
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.scenarios import Metric, Objective


def sums(runs=0, passed=None, buckets=None, healthy=10, unhealthy=0, stale=0, **states):
    states = {"healthy": healthy, "unhealthy": unhealthy, **states}
    return Sums(states=states, stale=stale, runs=runs, passed=runs if passed is None else passed, buckets=buckets or {})


def judged(metric, bound, *looks):
    meter = Meter(Objective(metric=metric, bound=bound))
    for one in looks:
        meter.take(one)
    return meter.judged()


def test_the_share_that_is_up_is_judged_at_its_lowest():
    low = judged(Metric.HEALTHY_RATIO, 0.5, sums(), sums(healthy=4, unhealthy=6), sums())
    assert (low.verdict, low.observed) == (Verdict.MISSED, 0.4)
    assert judged(Metric.HEALTHY_RATIO, 0.4, sums(healthy=4, unhealthy=6)).verdict is Verdict.MET
    assert judged(Metric.HEALTHY_RATIO, 0.4, sums(healthy=0, degraded=5, unhealthy=5)).observed == 0.5


def test_probes_that_cannot_see_are_no_success():
    for blind in (sums(healthy=0, unknown=9), sums(stale=6), sums(healthy=0)):
        assert judged(Metric.HEALTHY_RATIO, 0.0, blind).verdict is Verdict.UNMEASURED


def test_runs_count_between_the_two_ends_only():
    before, after = sums(runs=1000, passed=500), sums(runs=1100, passed=590)
    assert judged(Metric.SUCCESS_RATIO, 0.9, before, after).observed == 0.9
    assert judged(Metric.SUCCESS_RATIO, 0.9, before, before).why == "nothing ran meanwhile"
    assert judged(Metric.SUCCESS_RATIO, 0.9, after, before).why == "the host started anew"
    assert judged(Metric.SUCCESS_RATIO, 0.9).verdict is Verdict.UNMEASURED


def test_a_timeout_is_longer_than_every_bound():
    before = sums(runs=10, buckets={0.1: 10})
    after = sums(runs=20, buckets={0.1: 15, math.inf: 5})
    late = judged(Metric.P99, 100.0, before, after)
    assert (late.verdict, late.told) == (Verdict.MISSED, "timeout")
    assert judged(Metric.P50, 0.1, before, after).observed == 0.1


@given(
    before=st.lists(st.floats(1e-6, 90)),
    meanwhile=st.lists(st.floats(1e-6, 90), min_size=1),
    share=st.sampled_from([0.5, 0.9, 0.99]),
)
def test_percentiles_of_a_stretch_lie_within_their_error_above_the_truth(before, meanwhile, share):
    bounds = histogram.upper_bounds_s()

    def counted(latencies):
        found = {}
        for latency in latencies:
            bound = float(bounds[histogram.bucket(round(latency * 1e9))])
            found[bound] = found.get(bound, 0) + 1
        return found

    value = quantile(share, difference(counted(before + meanwhile), counted(before)))
    truth = sorted(meanwhile)[max(math.ceil(share * len(meanwhile)), 1) - 1]
    assert truth <= value * (1 + 1e-9)
    assert value - truth <= max(value * BUCKET, 1.001e-6)


def measure(group, detection_s=None, recovery_s=None, hurt=1):
    return Measure(group=group, probes=2, hurt=hurt, samples=9, detection_s=detection_s, recovery_s=recovery_s, error_s=0.2)


def test_times_are_the_longest_of_the_groups_that_are_meant_and_were_hurt():
    measures = [measure("eu/orders", 0.3, 1.0), measure("eu/billing", 0.9, 5.0), measure("eu/other", hurt=0)]
    whole = Objective(metric=Metric.DETECTION, bound=1.0)
    assert judge_measured(whole, measures).observed == 0.9
    assert not judge_measured(whole, measures).is_sure  # the bound lies within the error
    orders = Objective(metric=Metric.RECOVERY, bound=2.0, probes=Selector(namespace="orders"))
    assert (judge_measured(orders, measures).observed, judge_measured(orders, measures).is_sure) == (1.0, True)


@pytest.mark.parametrize(
    ("measures", "verdict", "why"),
    [
        ([], Verdict.UNMEASURED, "no run was measured"),
        ([measure("eu/orders", hurt=0)], Verdict.UNMEASURED, "no probe saw the fault"),
        ([measure("eu/orders", 0.1, None)], Verdict.MISSED, "eu/orders was not well again in time"),
    ],
)
def test_what_nobody_saw_or_what_never_came_back_says_so(measures, verdict, why):
    told = judge_measured(Objective(metric=Metric.RECOVERY, bound=2.0), measures)
    assert (told.verdict, told.why, told.observed) == (verdict, why, None)
