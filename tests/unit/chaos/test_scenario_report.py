"""Reports of scenarios. Golden files of what programs read; FASTPROBE_GOLDEN=write makes them anew, to be looked at."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.chaos.scenarios.conducting import Conduct, EndKind
from meshkit_fastprobe.chaos.scenarios.hands import HostLostError, ReceiptReference, Seen
from meshkit_fastprobe.chaos.scenarios.junit import junit
from meshkit_fastprobe.chaos.scenarios.planning import Known, plan_scenario
from meshkit_fastprobe.chaos.scenarios.report import Report, is_well, report_of, report_schema
from meshkit_fastprobe.chaos.scenarios.states import StepPhase
from meshkit_fastprobe.chaos.scenarios.step import Rollback, StepMove, Undone
from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.scenarios import Metric, Objective, Scenario, Step

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_800_000_000.0

# What build servers agree on of JUnit XML: elements, where they stand, and the attributes each has to have.
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}
ATTRIBUTES = {
    "testsuites": {"tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}


def objective(metric, bound, **more):
    return Objective(metric=metric, bound=bound, **more)


def an_afternoon():
    """A conduct that is over, told as it might have been: one step passed, one broke off, one was stuck, one never began."""
    steps = (
        Step(name="before", hold_s=2.0),
        Step(
            name="slow",
            experiment="slow-orders",
            needs=("before",),
            objectives=(objective(Metric.DETECTION, 2.0), objective(Metric.RECOVERY, 0.5, name="well <soon> & safe")),
        ),
        Step(name="stuck", experiment="pause-worker", needs=("before",)),
        Step(name="after", experiment="cut", needs=("slow", "stuck")),
    )
    whole = Scenario(name="game-day", says="a wet afternoon", steps=steps, objectives=(objective(Metric.RECOVERY, 9.0),))
    names = ("slow-orders", "pause-worker", "cut")
    known = {name: Known(fault="null", duration_s=4.0, recovery_s=9.0, resources=frozenset({f"null:{name}"})) for name in names}
    conduct = Conduct(plan_scenario(whole, known), Nobody(), shown={})
    lives = conduct.lives
    lived(lives["before"], (StepPhase.CHECKING, 0), (StepPhase.LOOKING, 0.01), (StepPhase.PASSED, 2.01))
    measure = Measure(group="/orders", probes=3, hurt=3, samples=60, detection_s=0.25, recovery_s=0.75, error_s=0.2)
    lives["slow"].seen = Seen(
        id="slow-orders-4",
        phase=Phase.ABORTED,
        plan="5f" * 32,
        why="the steady state is broken: 33% of its probes are up, not 90%",
        injected_at=NOW + 2.1,
        reverted_at=NOW + 4.5,
        measures=(measure,),
    )
    lives["slow"].receipt = ReceiptReference(
        path="/chaos/receipts/slow-orders-4", sha256="ab" * 32, signature="cd" * 64, public_key="ef" * 32
    )
    why = "slow-orders-4 came to aborted: the steady state is broken: 33% of its probes are up, not 90%"
    lived(
        lives["slow"],
        (StepPhase.CHECKING, 2.01),
        (StepPhase.STARTING, 2.05),
        (StepPhase.RUNNING, 2.1),
        (StepPhase.FAILED, 5.0, why),
    )
    lives["slow"].rollback = Rollback(order=2, how=Undone.ENDED, at=NOW + 5.2, why="the steady state is broken")
    lives["stuck"].seen = Seen(
        id="pause-worker-5", phase=Phase.REVERT_FAILED, plan="77" * 32, manual="kill -CONT 4711", injected_at=NOW + 2.1
    )
    lived(
        lives["stuck"],
        (StepPhase.CHECKING, 2.01),
        (StepPhase.STARTING, 2.06),
        (StepPhase.RUNNING, 2.1),
        (StepPhase.STOPPING, 5.0),
        (StepPhase.FAILED, 5.2, "it is still there\x1b[31m"),
    )
    lives["stuck"].rollback = Rollback(order=1, how=Undone.FAILED, at=NOW + 5.1, why="it is still there\x1b[31m")
    lived(lives["after"], (StepPhase.SKIPPED, 5.2, f"slow: {why}"))
    conduct.end(EndKind.FAILED, f"slow: {why}")
    conduct.began_at, conduct.ended_at = NOW, NOW + 5.5
    return conduct


class Nobody:
    """Hands that nobody uses."""

    def __getattr__(self, name):
        raise HostLostError(name)


def lived(life, *moves):
    life.phase, life.why = moves[-1][0], moves[-1][2] if len(moves[-1]) > 2 else ""
    life.moves = [StepMove(StepPhase.WAITING, NOW), *(StepMove(one[0], NOW + one[1], *one[2:]) for one in moves)]


@pytest.fixture(scope="module")
def report():
    found = []

    async def main():
        found.append(report_of(an_afternoon(), host="cp-1", version="0.1.0", reason="rehearsal", ticket="OPS-7"))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return found[0]


def golden(name, content):
    path = GOLDEN / name
    if os.environ.get("FASTPROBE_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return path.read_bytes()


def test_the_json_report_is_as_it_was(report):
    assert report.encoded() == golden("scenario.json", report.encoded())


def test_the_junit_report_is_as_it_was(report):
    assert junit(report) == golden("scenario.xml", junit(report))


def test_the_json_report_meets_its_schema_and_comes_back_the_same(report):
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(report.encoded()))
    assert msgspec.json.decode(report.encoded(), type=Report) == report
    assert not is_well(report)


def test_what_is_undone_stands_in_the_order_in_which_it_was(report):
    assert [(one.step, one.how) for one in report.rollback] == [("stuck", "failed"), ("slow", "ended")]


def test_the_junit_report_is_what_build_servers_read(report):
    root = ET.fromstring(junit(report))
    for element in root.iter():
        assert set(element.attrib) >= ATTRIBUTES.get(element.tag, set()), element.tag
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set()), element.tag
    [suite] = root
    cases = suite.findall("testcase")
    for counted, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(counted)) == sum(case.find(tag) is not None for case in cases) == int(root.get(counted))
    assert int(suite.get("tests")) == len(cases)
    told = {case.get("name"): case for case in cases}
    assert told["step before"].find("failure") is None
    assert "aborted" in told["step slow"].find("failure").get("message")
    assert told["well <soon> & safe"].find("failure").get("message") == "missed: it was 0.75"
    assert told["stuck is undone"].find("error") is not None
    assert told["step after"].find("skipped") is not None


def test_what_xml_cannot_hold_is_replaced(report):
    assert b"\x1b" not in junit(report)
    assert "\ufffd[31m" in junit(report).decode()
