"""Plans of scenarios: what is refused before anything runs, and an order that keeps to what steps need."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.scenarios.planning import OVERHEAD_S, Bounds, Known, plan_scenario, touched
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.experiments import Selector, SteadyState
from meshkit_fastprobe.scenarios import Metric, Objective, Requirements, Scenario, Step

ROOMY = Bounds(max_concurrent=64, max_concurrent_per_group=64, cooldown_s=0.0)


def known(name, **more):
    return Known(**{"fault": "null", "duration_s": 10.0, "recovery_s": 5.0, "resources": frozenset({f"null:{name}"})} | more)


KNOWN = {name: known(name) for name in "abcdef"}


def scenario(*steps, **more):
    return Scenario(name="day", steps=tuple(steps), **more)


def step(name, needs="", **more):
    return Step(**{"name": name, "experiment": name, "needs": tuple(needs)} | more)


def refused(what, experiments=None, bounds=None, **more):
    with pytest.raises(ConfigError) as caught:
        plan_scenario(what, KNOWN if experiments is None else experiments, bounds, **more)
    return str(caught.value)


def test_unknown_experiments_are_named_with_what_was_meant():
    told = refused(scenario(Step(name="one", experiment="slow-order")), {"slow-orders": known("x")})
    assert 'the host has no experiment "slow-order"; did you mean slow-orders?' in told


def test_a_circle_is_told_step_by_step():
    told = refused(scenario(step("a", "c"), step("b", "a"), step("c", "b"), step("d")))
    assert "steps wait for each other: a needs c needs b needs a" in told


def test_branches_that_touch_the_same_are_refused_and_a_chain_is_not():
    same = {"a": known("x"), "b": known("x")}
    assert "b may run beside a, and both touch null:x; let one wait for the other" in refused(
        scenario(step("a"), step("b")), same
    )
    assert plan_scenario(scenario(step("a"), step("b", "a")), same)


def test_one_experiment_cannot_be_in_two_branches():
    told = refused(scenario(step("a"), step("again", experiment="a")), {"a": known("x", resources=frozenset())})
    assert "both touch experiment a" in told


def test_more_at_once_than_the_host_bears_is_refused():
    wide = scenario(step("a"), step("b"), step("c", "a"), step("d", "b"), step("e", "ab"))
    tight = Bounds(max_concurrent=2, max_concurrent_per_group=64, cooldown_s=0.0)
    assert "3 experiments may run at the same time; the host bears 2" in refused(wide, bounds=tight)
    assert plan_scenario(scenario(step("a"), step("b"), step("c", "a"), step("d", "b")), KNOWN, tight)


def test_more_at_once_than_a_group_bears_is_refused():
    grouped = {name: known(name, groups=frozenset({"eu/orders"})) for name in "ab"}
    tight = Bounds(max_concurrent=9, max_concurrent_per_group=1, cooldown_s=0.0)
    assert "2 experiments that concern eu/orders may run at the same time" in refused(
        scenario(step("a"), step("b")), grouped, tight
    )


def test_too_little_rest_for_the_cooldown_is_refused_and_a_wait_or_patience_mends_it():
    same = {"a": known("x"), "b": known("x")}
    rest = Bounds(max_concurrent=9, max_concurrent_per_group=9, cooldown_s=30.0)
    told = refused(scenario(step("a"), step("b", "a", wait_s=10.0)), same, rest)
    assert "b may begin 10s after a on the same thing; the host asks for 30s" in told
    assert plan_scenario(scenario(step("a"), step("b", "a", wait_s=30.0)), same, rest)
    assert plan_scenario(scenario(step("a"), step("b", "a", requires=Requirements(patience_s=30.0))), same, rest)
    between = (step("a", hold_s=10.0), step("c", "a", hold_s=10.0), step("b", "c"))
    assert plan_scenario(scenario(*between), same | {"c": known("y")}, rest)


def test_a_length_above_the_cap_is_refused():
    told = refused(scenario(step("a"), step("b", "a"), max_length_s=60.0))
    assert f"it may last {2 * (OVERHEAD_S + 15):.0f}" not in told  # in words, not in seconds
    assert "it may last 1m30s; the bound is 1m; raise max_length, or shorten steps" in told


@pytest.mark.parametrize("metric", [Metric.DETECTION, Metric.RECOVERY])
def test_times_that_nobody_measures_are_refused(metric):
    objective = Objective(metric=metric, bound=1.0)
    looking = Step(name="look", hold_s=1.0, objectives=(objective,))
    assert f"{metric} is never measured: no experiment is run" in refused(scenario(looking))
    blind = {"a": known("x", watched=False)}
    assert "no probes watch the experiment; give the experiment steady_state or affects" in refused(
        scenario(step("a", objectives=(objective,))), blind
    )


def test_shares_of_nobody_are_refused():
    nobody = Selector(namespace="nobody")
    whole = Objective(metric=Metric.P99, bound=1.0, probes=nobody)
    steady = Requirements(steady_state=(SteadyState(namespace="nobody"),))
    told = refused(scenario(step("a", requires=steady), objectives=(whole,)), count=lambda probes: probes.namespace != "nobody")
    assert told.count("no probe is meant: it can never be measured") == 2


def test_a_scenario_made_by_code_is_held_to_the_same_bounds():
    assert '"day": step[0].wait: 2h is not within 0s and 1h' in refused(scenario(step("a", wait_s=7200.0))).replace(
        "scenario ", ""
    )


def test_branches_on_an_address_and_on_a_port_of_it_are_refused_and_on_two_ports_are_not():
    two = scenario(step("a"), step("b"))
    whole, dns, web = (known("", resources=touched({"targets": [one]})) for one in ("10.0.0.2", "10.0.0.2:53", "10.0.0.2:80"))
    assert "both touch target:10.0.0.2, target:10.0.0.2:53" in refused(two, {"a": whole, "b": dns})
    assert plan_scenario(two, {"a": dns, "b": web}).experiments == ("a", "b")


def test_what_a_fault_touches_is_read_from_its_keys():
    assert touched({"proxy": "orders", "delay": "1s", "point": ""}) == {"proxy:orders"}
    assert touched({"targets": ["a", "b"]}) == {"target:a", "target:b"}
    assert touched({"target": "child:x"}) & touched({"targets": ["child:x"]})


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 9))
    steps = []
    for number in range(size):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        steps.append((f"s{number}", tuple(f"s{need}" for need in sorted(needs)), draw(st.integers(0, 3))))
    order = draw(st.permutations(range(size)))
    made = [Step(name=name, experiment=name, needs=needs, wait_s=float(wait)) for name, needs, wait in steps]
    return scenario(*(made[at] for at in order), max_length_s=86_400.0)


@given(what=graphs())
def test_plans_keep_to_needs_and_waves_are_free_of_them(what):
    experiments = {one.name: known(one.name) for one in what.steps}
    plan = plan_scenario(what, experiments)
    place = {planned.step.name: at for at, planned in enumerate(plan.steps)}
    found = {planned.step.name: planned for planned in plan.steps}
    assert set(place) == {one.name for one in what.steps}
    for planned in plan.steps:
        for need in planned.step.needs:
            assert place[need] < place[planned.step.name]
            assert found[need].wave < planned.wave
            assert found[need].begins_s + 10 + planned.step.wait_s <= planned.begins_s
        assert planned.begins_s < planned.ends_s <= plan.longest_s


@given(what=graphs())
def test_how_many_may_run_at_once_is_the_largest_set_without_a_path(what):
    experiments = {one.name: known(one.name) for one in what.steps}
    above = {one.name: set(one.needs) for one in what.steps}
    for _ in above:
        above = {name: needs.union(*(above[need] for need in needs)) for name, needs in above.items()}

    def free(names):
        return all(one not in above[other] and other not in above[one] for one, other in combinations(names, 2))

    most = max(size for size in range(1, len(above) + 1) if any(free(names) for names in combinations(above, size)))
    assert plan_scenario(what, experiments, ROOMY)
    if most > 1:
        tight = Bounds(max_concurrent=most - 1, max_concurrent_per_group=64, cooldown_s=0.0)
        assert f"{most} experiments may run at the same time" in refused(what, experiments, tight)
    enough = Bounds(max_concurrent=most, max_concurrent_per_group=64, cooldown_s=0.0)
    assert plan_scenario(what, experiments, enough)
