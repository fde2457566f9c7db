import logging

import pytest

from meshkit_fastprobe.model import Reason, State, Transition
from meshkit_fastprobe.telemetry.logs import TransitionLog


def change(name="pg", before=State.HEALTHY, after=State.UNHEALTHY, message="connection refused"):
    return Transition(name, "eu-1", "orders", "tcp", before, after, Reason.CONNECT_REFUSED, message, 1_700_000_000.5)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "meshkit_fastprobe.probes")
    return caplog


def test_a_transition_is_one_line_with_its_fields_on_the_record(lines):
    TransitionLog().write(change())
    [record] = lines.records
    assert record.name == "meshkit_fastprobe.probes"
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "pg healthy -> unhealthy: connection refused"
    assert (record.probe, record.kind, record.cluster, record.namespace) == ("pg", "tcp", "eu-1", "orders")
    assert (record.before, record.after, record.reason) == ("healthy", "unhealthy", "connect_refused")
    assert (record.explanation, record.at) == ("connection refused", 1_700_000_000.5)


def test_getting_better_is_no_error(lines):
    TransitionLog().write(change(before=State.UNHEALTHY, after=State.HEALTHY, message=""))
    [record] = lines.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == "pg unhealthy -> healthy"


def test_an_outage_of_thousands_is_a_hundred_lines_and_a_count(lines):
    clock = Clock()
    transitions = TransitionLog(burst=100, lines_per_s=10, clock=clock)
    for number in range(5000):
        transitions.write(change(f"p{number}", after=State.UNHEALTHY if number % 5 else State.DEGRADED))
    assert len(lines.records) == 101
    assert "only counted until it calms down" in lines.records[-1].getMessage()

    clock.now = 0.1
    transitions.write(change("calm"))
    count, line = lines.records[-2:]
    assert count.getMessage() == "4900 more transitions were not logged one by one: 980 to degraded, 3920 to unhealthy"
    assert count.held_back == {"degraded": 980, "unhealthy": 3920}
    assert line.probe == "calm"


def test_what_was_held_back_is_told_at_the_end(lines):
    transitions = TransitionLog(burst=1, clock=Clock())
    for _ in range(3):
        transitions.write(change())
    transitions.flush()
    transitions.flush()
    assert [record.getMessage() for record in lines.records[2:]] == [
        "2 more transitions were not logged one by one: 2 to unhealthy"
    ]


def test_a_silenced_logger_spends_no_budget(lines):
    lines.set_level(logging.CRITICAL, "meshkit_fastprobe.probes")
    transitions = TransitionLog(burst=1, clock=Clock())
    transitions.write(change())
    lines.set_level(logging.INFO, "meshkit_fastprobe.probes")
    transitions.write(change("heard"))
    assert [record.probe for record in lines.records] == ["heard"]
