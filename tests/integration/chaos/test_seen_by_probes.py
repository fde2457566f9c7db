"""Faults that the kernel makes, from confirmation to recovery: a probe sees each, a guardrail ends what is too strong."""

from __future__ import annotations

import sys

import pytest

from tests.integration.chaos.namespace import scene

pytestmark = [
    pytest.mark.integration,
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="these faults are Linux's"),
]

SCENES = "seen_scenes.py"


@pytest.mark.parametrize(("fault", "state"), [("delay", "DEGRADED"), ("loss", "UNHEALTHY"), ("pause", "UNHEALTHY")])
def test_a_fault_is_seen_and_what_it_hurt_becomes_well_again(fault: str, state: str) -> None:
    told = scene(SCENES, "seen", fault)
    assert told["phase"] == "completed", told["why"]
    assert state in told["states"]
    assert told["recovered"] == [True]
    assert told["touched"] > 0
    assert told["left"] == []
    assert told["now"] == "HEALTHY"


def test_a_restart_is_over_when_the_service_is_back() -> None:
    told = scene(SCENES, "seen", "restart")
    assert told["phase"] == "completed", told["why"]
    assert told["now"] == "HEALTHY"


@pytest.mark.parametrize("fault", ["loss", "pause"])
def test_a_fault_that_breaks_the_steady_state_ends_long_before_its_time(fault: str) -> None:
    told = scene(SCENES, "seen", fault, True)
    assert told["phase"] == "aborted"
    assert "the steady state is broken" in told["why"]
    assert told["left"] == []
    assert told["now"] == "HEALTHY"
