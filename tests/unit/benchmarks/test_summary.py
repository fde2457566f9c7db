"""Figures are arguments: what is said of runs must follow from the runs."""

from __future__ import annotations

import pytest

from benchmarks import summary, table
from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Sorting",
    ours="ours",
    contenders=("ours", "theirs"),
    workloads={"1M": {"n": 1_000_000}},
    metrics={"us": Metric("CPU", "µs"), "rate": Metric("rate", "a second", more_is_better=True), "note": Metric("n", "", None)},
)


def result_of(ours: list[float], theirs: list[float], **more: object) -> dict:
    runs = [
        {"workload": "1M", "contender": contender, "round": n, "us": us, "rate": 1 / us, "note": us}
        for contender, each in (("ours", ours), ("theirs", theirs))
        for n, us in enumerate(each)
    ]
    return {"workloads": {"1M": {}}, "unavailable": {}, "runs": runs, **more}


def test_a_ratio_is_the_median_of_ratios_within_a_round():
    """The machine slowed down in rounds 1 and 2 for both: ratios of one round are not fooled, the ratio of medians would be."""
    result = result_of(ours=[1.0, 2.0, 3.0], theirs=[10.0, 20.0, 10.0])
    verdict = summary.verdict(result, SCENARIO, Reach("CPU", "1M", "us", 0.1, against="theirs"))
    assert verdict.got == pytest.approx(0.1)
    assert verdict.word == "ok"


def test_a_missed_reach_is_called_missed():
    verdict = summary.verdict(result_of([5.0], [10.0]), SCENARIO, Reach("CPU", "1M", "us", 0.1, against="theirs"))
    assert verdict.word == "MISSED"
    assert "MISSED" in table.render(result_of([5.0], [10.0]), Scenario(**{**vars(SCENARIO), "reach": (verdict.reach,)}))


def test_what_was_not_measured_is_neither_ok_nor_missed():
    assert (
        summary.verdict(result_of([5.0], []), SCENARIO, Reach("CPU", "1M", "us", 0.1, against="theirs")).word == "not measured"
    )


@pytest.mark.parametrize(("got", "word"), [(9.0, "ok"), (7.0, "MISSED")])
def test_a_reach_may_ask_for_at_least(got: float, word: str):
    reach = Reach("rate", "1M", "us", 8.0, against="theirs", at_least=True)
    assert summary.verdict(result_of([got], [1.0]), SCENARIO, reach).word == word


def test_a_reach_may_be_of_another_contender_and_against_another_workload():
    """As in: theirs at a million, divided by ours at a thousand."""
    result = result_of([2.0], [8.0])
    result["runs"] += [{"workload": "1k", "contender": "ours", "round": 0, "us": 1.0}]
    reach = Reach("growth", "1M", "us", 1.3, of="theirs", against="ours", against_workload="1k")
    assert summary.verdict(result, SCENARIO, reach).got == pytest.approx(8.0)
    assert str(reach) == "≤ 1.3 x ours at 1k"


def test_another_mode_of_ours_is_no_peer_to_lose_to():
    scenario = Scenario(**{**vars(SCENARIO), "also_ours": ("theirs",)})
    assert summary.losses(result_of([2.0], [1.0]), scenario) == []


def test_every_better_peer_is_a_loss_that_is_told():
    losses = summary.losses(result_of([2.0], [1.0]), SCENARIO)
    assert [(loss.metric, loss.contender) for loss in losses] == [("us", "theirs"), ("rate", "theirs")]


def test_best_is_the_largest_where_more_is_better():
    result = result_of([1.0, 2.0, 4.0], [])
    assert summary.figure(result, "1M", "ours", "rate", more_is_better=True).best == 1.0
    assert summary.figure(result, "1M", "ours", "us", more_is_better=False).best == 1.0
    assert summary.figure(result, "1M", "ours", "us", more_is_better=False).spread == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0, "0"), (0.01234, "0.0123"), (12.34, "12.3"), (123456.7, "123,457")]
)
def test_numbers_show_three_digits(value: float | None, text: str):
    assert summary.number(value) == text
