"""What is counted of experiments, also before any has run."""

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.faults.base import FaultPlan
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.chaos.faults.reset import Reset
from meshkit_fastprobe.chaos.run import Run, plan_of
from meshkit_fastprobe.chaos.states import FINAL, Phase
from meshkit_fastprobe.experiments import ChaosSettings, Experiment
from meshkit_fastprobe.telemetry import names
from meshkit_fastprobe.telemetry.process import process_families


def host_with(*experiments):
    server = fp.ServerSettings(listen="127.0.0.1:0")
    return fp.Diagnostics(fp.Settings(host="cp-1", server=server, chaos=ChaosSettings(experiments=experiments)))


def activations(diag):
    [samples] = [samples for metric, samples in process_families(diag) if metric is names.CHAOS_ACTIVATIONS]
    return {(sample.labels["fault"], sample.labels["outcome"]): sample.value for sample in samples}


def ended(experiment, phase):
    plan = FaultPlan(kind="null", backend="memory", mark="a", targets=(), resources=(), handle={}, manual="")
    planned = plan_of(experiment, plan, host="cp-1", cluster="", two_person=False)
    return Run(id="a-1", experiment="a", phase=phase, plan=planned, requested_by="user:anna")


def test_each_outcome_of_the_kinds_that_experiments_use_is_told_also_at_zero():
    first, second = (Experiment(id=name, fault=Null(), duration_s=5.0) for name in "ab")
    diag = host_with(first, second)
    nothing_yet = {("null", str(phase)): 0 for phase in FINAL}
    assert activations(diag) == nothing_yet
    diag.chaos.tally.took(ended(first, Phase.COMPLETED))
    assert activations(diag) == nothing_yet | {("null", "completed"): 1}
    diag.chaos.configure(ChaosSettings())  # what has been counted stays, whatever experiments there are
    assert activations(diag) == {("null", "completed"): 1}


def test_an_experiment_of_a_request_brings_its_kind_along():
    diag = host_with()
    assert activations(diag) == {}
    diag.chaos.register(Experiment(id="a", fault=Reset(proxy="db"), duration_s=5.0))
    assert activations(diag) == {(Reset.kind, str(phase)): 0 for phase in FINAL}
