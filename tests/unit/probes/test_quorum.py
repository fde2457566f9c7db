"""When enough members are up, and what is said of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe import ConfigError, Outcome, QuorumProbe, Reason, Result, State
from meshkit_fastprobe.probes.base import OurLimit

UP, WORN, DOWN, UNKNOWN, PAUSED = State.HEALTHY, State.DEGRADED, State.UNHEALTHY, State.UNKNOWN, State.PAUSED


def judge(at_least: int | str, *states: State) -> Outcome:
    return QuorumProbe("*", at_least).judge({f"m{number}": state for number, state in enumerate(states)})


def test_enough_that_are_up_pass_whatever_the_others_are():
    assert judge(2, UP, WORN, DOWN, UNKNOWN).result is Result.OK


def test_too_few_fail_and_those_that_are_down_are_named():
    outcome = judge(2, UP, DOWN, DOWN)
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.FAIL, Reason.QUORUM, 1)
    assert outcome.message == "1 of 3 up, 2 needed; down: m1, m2"
    assert outcome.facts == (("m1", "unhealthy"), ("m2", "unhealthy"))


def test_what_is_not_known_is_counted_apart_and_left_open_when_it_could_tip_the_verdict():
    assert judge(3, UP, DOWN, DOWN, UNKNOWN).message == "1 of 4 up, 3 needed, 1 not known yet; down: m1, m2"
    with pytest.raises(OurLimit) as open_verdict:
        judge(2, UP, DOWN, UNKNOWN)
    assert open_verdict.value.reason is Reason.MEMBERS_UNKNOWN


def test_paused_members_are_none():
    assert judge("100%", UP, PAUSED).result is Result.OK


@pytest.mark.parametrize(("share", "members", "needed"), [("60%", 5, 3), ("50%", 3, 2), ("1%", 3, 1), ("100%", 4, 4)])
def test_a_share_is_rounded_up(share: str, members: int, needed: int):
    assert QuorumProbe("*", share).needed(members) == needed


@pytest.mark.parametrize("at_least", [1, "1%", "100%"])
def test_a_quorum_of_nobody_fails(at_least: int | str):
    outcome = judge(at_least)
    assert outcome.result is Result.FAIL
    assert outcome.message == "0 of 0 up, 1 needed"


def test_a_long_list_of_those_that_are_down_is_cut_short():
    assert judge(1, *[DOWN] * 9).message.endswith("; down: m0, m1, m2, m3, m4 and 4 more")


@given(
    st.lists(st.sampled_from(list(State)), max_size=12), st.integers(1, 12) | st.integers(1, 100).map("{}%".format), st.data()
)
def test_a_verdict_stands_whatever_becomes_of_the_unknown(states, at_least, data):
    try:
        outcome = judge(at_least, *states)
    except OurLimit:
        return
    later = [data.draw(st.sampled_from([UP, WORN, DOWN])) if state is UNKNOWN else state for state in states]
    assert judge(at_least, *later).result is outcome.result


@pytest.mark.parametrize("at_least", [0, -1, True, "0%", "101%", "half", "60"])
def test_what_is_no_number_of_members_is_refused(at_least):
    with pytest.raises(ConfigError, match="at_least"):
        QuorumProbe("*", at_least)


def test_patterns_are_bounded():
    with pytest.raises(ConfigError, match="64 patterns"):
        QuorumProbe("*", 1, tuple("abcd" * 16))
