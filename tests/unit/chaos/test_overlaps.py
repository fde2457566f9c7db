"""What is in the way of what: one port of an address and the whole of it are, two ports of it are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.faults.base import FaultPlan
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.chaos.in_force import InForce
from meshkit_fastprobe.chaos.network.endpoints import parse_endpoint
from meshkit_fastprobe.chaos.overlaps import Overlaps, shared
from meshkit_fastprobe.chaos.resting import Resting
from meshkit_fastprobe.chaos.run import Run, plan_of
from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.experiments import MAX_COOLDOWN_S, Experiment


@pytest.mark.parametrize(
    ("one", "other", "do"),
    [
        ("packets:10.0.0.2", "packets:10.0.0.2:53", True),
        ("packets:10.0.0.0/24", "packets:10.0.0.2:53", True),
        ("packets:10.0.0.0/24", "packets:10.0.0.128/25", True),
        ("packets:10.0.0.0/24:53", "packets:10.0.0.2:53", True),
        ("packets:0.0.0.0/0", "packets:10.0.0.2", True),
        ("packets:2001:db8::/64", "packets:[2001:db8::7]:443", True),
        ("target:10.0.0.2", "target:10.0.0.2:53", True),
        ("packets:10.0.0.2:53", "packets:10.0.0.2:80", False),
        ("packets:10.0.0.0/24:53", "packets:10.0.0.2:80", False),
        ("packets:10.0.0.2", "packets:10.0.0.3:53", False),
        ("packets:10.0.1.0/24", "packets:10.0.0.2", False),
        ("packets:0.0.0.0/0", "packets:::/0", False),
        ("target:10.0.0.2", "packets:10.0.0.2:53", False),
        ("target:db.example:5432", "target:db.example:5433", False),
        ("target:db.example", "target:db.example:5433", False),
        ("null:10.0.0.2", "null:10.0.0.2:53", False),
        ("process:12", "process:123", False),
        ("odd", "odd", True),
    ],
)
def test_which_overlap(one, other, do):
    for some, others in ((one, other), (other, one)):
        assert shared({some}, {others}) == (frozenset({one, other}) if do else frozenset())
    assert shared({one}, {one}) == {one}


networks = st.tuples(st.integers(0, 7), st.sampled_from([29, 30, 31, 32])).map(
    lambda one: f"10.0.0.{one[0] >> (32 - one[1]) << (32 - one[1])}/{one[1]}"
)
endpoints = st.tuples(networks, st.sampled_from(["", ":53", ":80"])).map(lambda one: one[0] + one[1])
resources = endpoints.map(lambda text: f"packets:{parse_endpoint('', text)}") | st.sampled_from(["null:a", "null:b"])


@given(st.lists(resources, max_size=12), st.data())
def test_what_is_found_by_size_of_network_is_what_a_look_at_each_finds(added, data):
    overlaps, there = Overlaps(), set()
    for resource in added:
        overlaps.add(resource)
        there.add(resource)
        if data.draw(st.booleans()):
            overlaps.remove(resource)
            there.remove(resource)
    asked = data.draw(resources)
    assert set(overlaps.of(asked)) == {one for one in there if one == asked or _touch(one, asked)}


def _touch(one, other):
    if not one.startswith("packets:") or not other.startswith("packets:"):
        return False
    first, second = (parse_endpoint("", text.removeprefix("packets:")) for text in (one, other))
    return first.touches(second)


def run_on(*resources, name="b"):
    fault = FaultPlan(
        kind="null", backend="memory", mark=name, targets=(), resources=resources, handle={}, manual="", local=True
    )
    plan = plan_of(Experiment(id=name, fault=Null(), duration_s=1.0), fault, host="h", cluster="", two_person=False)
    return Run(id=f"{name}-1", experiment=name, phase=Phase.ACTIVE, plan=plan, requested_by="local")


def test_who_would_run_beside_a_fault_on_a_port_of_the_same_address_is_told_of_it():
    in_force = InForce()
    in_force.took(run_on("packets:10.0.0.2:53", "packets:10.0.0.2:80"))
    in_force.took(run_on("packets:10.0.0.3", name="c"))
    assert in_force.beside("a", ["packets:10.0.0.2"], ()).sharing == {"b-1": ("packets:10.0.0.2:53", "packets:10.0.0.2:80")}
    assert in_force.beside("a", ["packets:10.0.0.2:443", "packets:10.0.0.3:443"], ()).sharing == {"c-1": ("packets:10.0.0.3",)}
    assert in_force.beside("b", ["packets:10.0.0.2"], ()).sharing == {}


def test_an_address_rests_with_each_of_its_ports():
    resting = Resting()
    resting.took(run_on("packets:10.0.0.2:53"), 10.0)
    resting.took(run_on("packets:10.0.0.2:80", name="c"), 14.0)
    assert resting.since("b", ["packets:10.0.0.2"], 15.0) == {
        "b": 5.0,
        "packets:10.0.0.2:53": 5.0,
        "packets:10.0.0.2:80": 1.0,
    }
    assert resting.since("a", ["packets:10.0.0.2:443"], 15.0) == {}
    assert resting.since("c", [], 15.0) == {"c": 1.0}


def test_what_has_rested_for_as_long_as_anybody_may_ask_for_is_forgotten_unless_it_ran_again():
    resting = Resting()
    resting.took(run_on("process:12", name="a"), 0.0)
    resting.took(run_on("process:12"), 60.0)
    resting.took(run_on("process:13", name="c"), MAX_COOLDOWN_S + 1.0)
    everything = ["process:12", "process:13"]
    assert resting.since("a", everything, MAX_COOLDOWN_S + 1.0) == {"process:12": MAX_COOLDOWN_S - 59.0, "process:13": 0.0}
    resting.took(run_on("process:14", name="d"), 3 * MAX_COOLDOWN_S)
    assert resting.since("d", [*everything, "process:14"], 3 * MAX_COOLDOWN_S) == {"d": 0.0, "process:14": 0.0}
