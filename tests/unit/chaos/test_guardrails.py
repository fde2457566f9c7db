"""What keeps an experiment from starting: each reason alone, and all of them at once."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from meshkit_fastprobe.chaos.faults.base import FaultPlan
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.chaos.guardrails import Situation, refusals
from meshkit_fastprobe.chaos.in_force import Beside, InForce
from meshkit_fastprobe.chaos.run import Run, plan_of
from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.experiments import Blackout, ChaosSettings, Experiment, SteadyState
from meshkit_fastprobe.when import Once

PLAN = FaultPlan(
    kind="null", backend="memory", mark="a", targets=("db",), resources=("null:db",), handle={}, manual="nothing", local=True
)
EXPERIMENT = Experiment(id="a", fault=Null(target="db"), duration_s=10.0, steady_state=SteadyState(namespace="orders"))
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WELL = Situation(
    now_s=NOON.timestamp(),
    chaos_on=True,
    kind_on=True,
    incident=False,
    halted=None,
    broken=None,
    beside=Beside(),
    stuck=(),
    ended={},
    up=1.0,
    remaining={},
)
OTHER = Run(
    id="b-1",
    experiment="b",
    phase=Phase.ACTIVE,
    plan=plan_of(EXPERIMENT, PLAN, host="h", cluster="", two_person=False),
    requested_by="local",
)


def beside(*runs, resources=PLAN.resources, groups=()):
    in_force = InForce()
    for run in runs:
        in_force.took(run)
    return in_force.beside(EXPERIMENT.id, resources, groups)


def told(settings=None, experiment=EXPERIMENT, **changes):
    return refusals(settings or ChaosSettings(), experiment, PLAN, msgspec.structs.replace(WELL, **changes))


def test_a_host_that_is_well_lets_it_start():
    assert told() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chaos_on": False}, "chaos is switched off on this host"),
        ({"kind_on": False}, "toggles set chaos.null.enabled on"),
        ({"incident": True}, "an incident is declared"),
        ({"halted": "by anna"}, "all chaos is halted: by anna"),
        ({"broken": "disk"}, "the journal cannot be used: disk"),
        ({"stuck": ("old-7",)}, "the fault of old-7 could not be undone"),
        ({"ended": {"a": 3.0}}, "a had a run 3 s ago"),
        ({"ended": {"null:db": 29.9}}, "null:db had a run 30 s ago; it rests for 30 s"),
        ({"up": None}, "cannot see"),
        ({"up": 0.89}, "89% of its probes are up, 90% are asked for"),
        ({"remaining": {"eu/orders": 0.49}}, "at worst 49% of eu/orders would stay up; the floor is 50%"),
    ],
)
def test_each_reason_is_told_with_what_to_do(changes, words):
    [reason] = told(**changes)
    assert words in reason


def test_no_more_run_at_once_than_the_host_allows():
    elsewhere = msgspec.structs.replace(PLAN, resources=("null:other",))
    situation = msgspec.structs.replace(WELL, beside=beside(OTHER, resources=elsewhere.resources))
    [reason] = refusals(ChaosSettings(), EXPERIMENT, elsewhere, situation)
    assert "1 experiments run already (b-1)" in reason


def test_bounds_are_inclusive():
    assert told(up=0.9, remaining={"eu/orders": 0.5}, ended={"a": 30.0}) == []


def test_another_run_may_not_work_on_the_same_resource_however_many_may_run():
    [reason] = told(ChaosSettings(max_concurrent=2), beside=beside(OTHER))
    assert "works on null:db already: one fault a resource" in reason


def test_a_group_bears_only_so_many_at_once():
    elsewhere = msgspec.structs.replace(PLAN, resources=("null:other",))
    there = msgspec.structs.replace(OTHER, groups=("eu/orders",))
    groups = ("eu/orders", "eu/pay")
    situation = msgspec.structs.replace(WELL, beside=beside(there, resources=elsewhere.resources, groups=groups), groups=groups)
    [reason] = refusals(ChaosSettings(max_concurrent=2), EXPERIMENT, elsewhere, situation)
    assert "eu/orders bears 1 already (b-1)" in reason
    assert refusals(ChaosSettings(max_concurrent=2, max_concurrent_per_group=2), EXPERIMENT, elsewhere, situation) == []
    apart = msgspec.structs.replace(situation, groups=("eu/pay",))
    assert refusals(ChaosSettings(max_concurrent=2), EXPERIMENT, elsewhere, apart) == []


@pytest.mark.parametrize("glob", ["db", "null:*", "d?", "*"])
def test_what_is_protected_is_never_hurt(glob):
    [reason] = told(ChaosSettings(protected=(glob,)))
    assert "is protected by" in reason


def test_a_probe_that_would_go_down_may_be_protected():
    [reason] = told(ChaosSettings(protected=("pay-*",)), hurt_probes=("orders", "pay-1"))
    assert "pay-1 is protected" in reason


def test_a_blackout_keeps_everything_from_starting():
    window = Once(start=NOON, end=NOON.replace(hour=13))
    settings = ChaosSettings(blackouts=(Blackout(reason="the sale", when=window),))
    assert told(settings) == ["a blackout is on: the sale; wait until it is over"]
    assert told(settings, now_s=NOON.timestamp() + 3600) == []


def test_no_experiment_is_longer_than_its_host_allows():
    [reason] = told(ChaosSettings(max_duration_s=9.0))
    assert "it lasts 10 s; the bound of this host is 9 s" in reason


def test_every_reason_is_told_at_once():
    assert len(told(chaos_on=False, kind_on=False, incident=True, halted="x", up=None, remaining={"a": 0.0})) == 6
