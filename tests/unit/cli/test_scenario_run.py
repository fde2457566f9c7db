"""Carrying out a scenario at a terminal."""

from __future__ import annotations

import signal

import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.scenarios.planning import plan_scenario
from meshkit_fastprobe.cli.scenario_run import conducted
from meshkit_fastprobe.scenarios import Scenario, Step


class Quiet:
    """The hands of a scenario that touches nothing: what it asks of its host before it begins."""

    host = "http://cp-1"

    async def toggles(self):
        return {"chaos.enabled": True, "chaos.incident": False}

    async def in_force(self):
        return {}


@pytest.mark.parametrize("pressed", [False, True], ids=["left alone", "Ctrl-C when all is over"])
def test_the_report_is_kept_however_late_ctrl_c_is_pressed(pressed):
    kept = []

    def keep(report):
        if pressed:
            signal.raise_signal(signal.SIGINT)  # the press that came after the last look at signals
        kept.append(report.outcome)

    def run():
        plan = plan_scenario(Scenario(name="still", steps=(Step(name="wait", hold_s=1.0),)), {})
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(conducted, plan, Quiet(), {}, True, "why", "", keep, clock=clock)

    if pressed:
        with pytest.raises(KeyboardInterrupt):
            run()
    else:
        run()
    assert kept == ["completed"]
