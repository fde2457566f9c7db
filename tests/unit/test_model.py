"""The numbers of Python's words and of the core's are the same: they travel in every record."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshkit_fastprobe._native import clock, layout
from meshkit_fastprobe.model import Lane, Outcome, ProbeOptions, Reason, Result, Settings, State

BASE_H = Path(__file__).parents[2] / "native" / "include" / "fastprobe" / "base.h"


def test_reasons_are_those_of_the_core() -> None:
    assert {number: name for number, name, _ in clock.reasons()} == {reason.value: str(reason) for reason in Reason}


def test_every_reason_has_words_for_a_person() -> None:
    assert all(len(words) > 3 and not words.endswith(".") for _, _, words in clock.reasons())


@pytest.mark.parametrize(
    ("ours", "prefix"),
    [(State, "state"), (Result, "result"), (Lane, "lane")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_enumerations_are_those_of_the_header(ours: type[State | Result | Lane], prefix: str) -> None:
    body = re.search(rf"enum fp_{prefix} {{(.*?)}}", BASE_H.read_text(), re.DOTALL)
    assert body is not None
    numbers = {name: int(number) for name, number in re.findall(r"FP_(\w+) = (\d+)", body[1])}
    core = {re.sub(r"^LANE_|_STATE$", "", name): number for name, number in numbers.items()}
    count = core.pop(f"{prefix.upper()}S")
    core = {name: number for name, number in core.items() if not name.startswith("EVENT_")}
    assert core == {member.name: member.value for member in ours}
    assert count == len(ours)


def test_events_and_the_passive_mark_are_those_of_the_header() -> None:
    text = BASE_H.read_text()
    for name in ("EVENT_DUE", "EVENT_DEADLINE", "EVENT_SKIPPED"):
        found = re.search(rf"FP_{name} = (\d+)", text)
        assert found is not None
        assert int(found[1]) == getattr(layout, name)
    passive = re.search(r"#define FP_PASSIVE (0x[0-9a-f]+)u", text)
    assert passive is not None
    assert int(passive[1], 16) == layout.PASSIVE


def test_results_and_events_leave_room_for_the_passive_mark() -> None:
    assert all(value < layout.PASSIVE for value in [*Result, layout.EVENT_DUE, layout.EVENT_DEADLINE, layout.EVENT_SKIPPED])


def test_a_reason_reads_as_its_stable_code() -> None:
    assert str(Reason.CONNECT_REFUSED) == "connect_refused"
    assert f"{Reason.HTTP_STATUS}" == "http_status"


def test_outcomes_made_by_name_carry_their_result_and_reason() -> None:
    assert Outcome() == Outcome.ok()
    assert Outcome.ok("fine", latency_s=0.1).latency_s == 0.1
    assert (Outcome.degraded("87% full").result, Outcome.degraded().reason) == (Result.DEGRADED, Reason.REPORTED)
    assert (Outcome.fail("no", detail=7).result, Outcome.fail("no", detail=7).detail) == (Result.FAIL, 7)
    assert (Outcome.error().result, Outcome.error().reason) == (Result.ERROR, Reason.EXCEPTION)


def test_what_is_shared_cannot_be_changed() -> None:
    for shared in (Outcome(), ProbeOptions(), Settings(host="a")):
        with pytest.raises(AttributeError):
            setattr(shared, shared.__struct_fields__[0], 1)
