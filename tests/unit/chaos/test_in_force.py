"""What runs beside an experiment is the same whether it is kept from move to move or looked up run by run."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.faults.base import FaultPlan
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.chaos.in_force import TOLD, Beside, InForce, Others
from meshkit_fastprobe.chaos.run import Run, plan_of
from meshkit_fastprobe.chaos.states import ALLOWED, LIVE, Phase
from meshkit_fastprobe.experiments import Experiment

names = st.sets(st.sampled_from("abcd"), max_size=3)


def run_of(number, experiment, resources, groups):
    fault = FaultPlan(
        kind="null", backend="memory", mark="m", targets=(), resources=tuple(resources), handle={}, manual="", local=True
    )
    plan = plan_of(Experiment(id="m", fault=Null(), duration_s=1.0), fault, host="h", cluster="", two_person=False)
    return Run(
        id=f"{experiment}-{number}",
        experiment=experiment,
        phase=Phase.DRAFT,
        plan=plan,
        requested_by="local",
        groups=tuple(groups),
    )


def looked_up(runs, experiment, resources, groups):
    """Run by run, of all there are."""
    others = [run for run in runs if run.phase in LIVE and run.experiment != experiment]

    def told(which):
        return Others(len(which), tuple(run.id for run in which[:TOLD]))

    bearing = {group: told([run for run in others if group in run.groups]) for group in groups}
    sharing = {run.id: tuple(sorted(set(resources) & set(run.plan.fault.resources))) for run in others}
    return Beside(
        told(others),
        {group: there for group, there in bearing.items() if there.count},
        {run: shared for run, shared in sharing.items() if shared},
    )


@given(st.lists(st.tuples(st.sampled_from("xyz"), names, names), max_size=8), st.data())
def test_what_is_kept_from_move_to_move_is_what_a_look_at_every_run_finds(made, data):
    runs = [run_of(number, *one) for number, one in enumerate(made)]
    in_force = InForce()
    came = {}
    for _ in range(data.draw(st.integers(0, 40)) if runs else 0):
        at = data.draw(st.integers(0, len(runs) - 1))
        onward = sorted(ALLOWED[runs[at].phase])
        if not onward:
            continue
        runs[at] = msgspec.structs.replace(runs[at], phase=data.draw(st.sampled_from(onward)))
        in_force.took(runs[at])
        if runs[at].phase in LIVE:
            came[runs[at].id] = runs[at]
        else:
            came.pop(runs[at].id, None)
        asked = (data.draw(st.sampled_from("xyz")), data.draw(names), data.draw(names))
        assert in_force.beside(*asked) == looked_up(came.values(), *asked)
        assert list(in_force) == list(came.values())
        assert len(in_force) == len(came)


@pytest.mark.parametrize("phase", sorted(LIVE))
def test_told_twice_is_told_once(phase):
    run = msgspec.structs.replace(run_of(1, "x", "ab", "cd"), phase=phase)
    in_force = InForce()
    for _ in range(2):
        in_force.took(run)
    assert in_force.beside("y", "a", "c") == Beside(Others(1, ("x-1",)), {"c": Others(1, ("x-1",))}, {"x-1": ("a",)})
    for _ in range(2):
        in_force.took(msgspec.structs.replace(run, phase=Phase.ORPHAN_REVERTED))
    assert in_force.beside("y", "a", "c") == Beside()
