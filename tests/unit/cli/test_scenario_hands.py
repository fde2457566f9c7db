"""What a scenario makes of what a host says."""

from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.cli.scenario_hands import seen_of

PLAN = {"id": "p", "manual": "undo it"}


def test_a_phase_that_only_a_newer_host_knows_counts_as_one_to_be_undone():
    seen = seen_of({"id": "r", "phase": "hibernating", "plan": PLAN, "why": "it is cold"})
    assert (seen.phase, seen.is_gone) == (Phase.ACTIVE, False)
    assert seen.why == "the host says hibernating, which is not known here"
    assert seen_of({"id": "r", "phase": "aborted", "plan": PLAN, "why": "it is cold"}).why == "it is cold"
