"""The table of phases: whatever begins can end, and nothing leaves an end."""

from __future__ import annotations

import pytest

from meshkit_fastprobe.chaos.states import ALLOWED, FINAL, HARMFUL, LIVE, WAITING, Phase, moved


def reachable(phase):
    found, left = set(), [phase]
    while left:
        for onward in ALLOWED[left.pop()] - found:
            found.add(onward)
            left.append(onward)
    return found


def test_every_phase_has_its_row():
    assert ALLOWED.keys() == set(Phase)


@pytest.mark.parametrize("phase", sorted(set(Phase) - FINAL))
def test_every_phase_that_is_no_end_can_end(phase):
    assert reachable(phase) & FINAL


@pytest.mark.parametrize("phase", sorted(HARMFUL - {Phase.REVERTING, Phase.REVERT_FAILED}))
def test_no_end_is_reached_from_harm_without_undoing_it(phase):
    assert ALLOWED[phase] & FINAL <= {Phase.ORPHAN_REVERTED}


def test_only_what_waits_is_confirmed():
    assert {phase for phase in Phase if Phase.ARMED in ALLOWED[phase]} == WAITING


def test_harm_is_live():
    assert HARMFUL < LIVE
    assert not LIVE & (FINAL | WAITING)


def test_a_move_that_the_table_does_not_have_is_a_mistake():
    with pytest.raises(AssertionError, match="no way from active to completed"):
        moved(Phase.ACTIVE, Phase.COMPLETED)
