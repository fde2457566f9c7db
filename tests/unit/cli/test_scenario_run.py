"""Carrying out a scenario at a terminal."""

from __future__ import annotations

import os
import signal
import sys

import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.scenarios.planning import plan_scenario
from meshkit_fastprobe.cli.scenario_run import conducted
from meshkit_fastprobe.scenarios import Scenario, Step
from tests.unit.chaos.test_scenario_conducting import Fake, FakeHost, known, shown_of
from tests.unit.cli.conftest import nobody_reads


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


class Remote(FakeHost):
    host = "http://cp-1"


def carried_out(stdout, monkeypatch, leave=lambda: None):
    """How each of two faults was undone, and the report, when a signal comes after its reader has left; none is in force."""
    monkeypatch.setattr(sys, "stdout", stdout)
    host = Remote({name: Fake(duration_s=60, resources=frozenset({name})) for name in "ab"})
    steps = tuple(Step(name=f"hurt-{name}", experiment=name) for name in "ab")
    plan, kept = plan_scenario(Scenario(name="day", steps=steps), known(host)), []

    async def interrupted():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(conducted, plan, host, {name: shown_of(name) for name in "ab"}, False, "why", "", kept.append)
            await trio.sleep(5)
            assert len(host.still_in_force(trio.current_time())) == 2
            leave()
            signal.raise_signal(signal.SIGHUP)
        assert host.still_in_force(trio.current_time()) == set()

    trio.run(interrupted, clock=trio.testing.MockClock(autojump_threshold=0))
    stdout.flush()  # as the interpreter does on its way out, which would exit with 120
    [report] = kept
    return report.outcome, [one.how for one in report.rollback]


UNDONE = ("cancelled", ["stopped", "stopped"])


def test_a_scenario_whose_output_nobody_ever_read_is_undone_and_reported(monkeypatch):
    with nobody_reads() as stdout:
        assert carried_out(stdout, monkeypatch) == UNDONE


def test_a_scenario_whose_reader_ends_with_it_is_undone_and_reported(monkeypatch):
    """As `| tee` does: Ctrl-C ends the whole group."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stdout:
        assert carried_out(stdout, monkeypatch, lambda: os.close(reading)) == UNDONE


def test_a_scenario_whose_terminal_goes_away_is_undone_and_reported(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    reading, writing = os.openpty()
    with os.fdopen(writing, "w") as stdout:
        assert carried_out(stdout, monkeypatch, lambda: os.close(reading)) == UNDONE
