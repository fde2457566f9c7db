"""A scenario file is refused with file, line, key, value, bound and fix; the schema says the same as far as a schema can."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jsonschema
import pytest

from meshkit_fastprobe.config.document import parse_document
from meshkit_fastprobe.config.scenario import read_scenario
from meshkit_fastprobe.config.scenario_shapes import scenario_schema
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.scenarios import Metric, Requirements

VALIDATOR = jsonschema.Draft202012Validator(scenario_schema())
EXAMPLE = Path(__file__).parents[3] / "examples" / "game-day.toml"

HEAD = 'name = "day"\n'
STEP = '[[step]]\nname = "one"\nexperiment = "slow"\n'


def read(text):
    return read_scenario(parse_document("day.toml", text))[0]


def refused(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


WRONG = {
    "nothing": ("", "day.toml: name is missing", True),
    "no step": (HEAD, "day.toml: step is missing; write at least one [[step]]", True),
    "name": (f'name = "A day"\n{STEP}', 'day.toml:1: name: "A day" is not an id', True),
    "unknown key": (f'{HEAD}lenght = "5m"\n{STEP}', 'day.toml:2: lenght: unknown key "lenght"', True),
    "length": (f'{HEAD}max_length = "2d"\n{STEP}', "day.toml:2: max_length: 2d is not within 1s and 1d", False),
    "on_failure": (f'{HEAD}{STEP}on_failure = "retry"\n', 'day.toml:5: step[0].on_failure: "retry" is not known', True),
    "does nothing": (f'{HEAD}[[step]]\nname = "one"\n', "day.toml:2: step[0]: one does nothing; name its experiment", False),
    "wait": (f'{HEAD}{STEP}wait = "2h"\n', "day.toml:5: step[0].wait: 2h is not within 0s and 1h", False),
    "hold": (f'{HEAD}{STEP}hold = "soon"\n', 'day.toml:5: step[0].hold: "soon" is not a duration', True),
    "needs itself": (f'{HEAD}{STEP}needs = ["one"]\n', "day.toml:5: step[0].needs[0]: one needs itself; remove it", False),
    "needs nobody": (f'{HEAD}{STEP}needs = ["on"]\n', 'no step is named "on"; did you mean one?', False),
    "same name": (f"{HEAD}{STEP}{STEP}", 'day.toml:6: step[1].name: "one" is the name of a step already', False),
    "one bracket": (f'{HEAD}[step]\nname = "one"\n', "day.toml:2: step: {'name': 'one'} is not a list of tables", True),
    "metric": (f'{HEAD}{STEP}[[step.objective]]\nmetric = "p98"\nat_most = 1\n', '"p98" is not known; did you mean p99?', True),
    "no bound": (
        f'{HEAD}{STEP}[[step.objective]]\nmetric = "p99"\n',
        "day.toml:5: step[0].objective[0]: p99 without a bound; write at_most = ...",
        False,
    ),
    "other bound": (
        f'{HEAD}{STEP}[[step.objective]]\nmetric = "p99"\nat_least = 0.5\n',
        "day.toml:7: step[0].objective[0].at_least: p99 with at_least; write at_most = ...",
        False,
    ),
    "share": (
        f'{HEAD}{STEP}[[objective]]\nmetric = "healthy_ratio"\nat_least = 90\n',
        "day.toml:7: objective[0].at_least: 90 is not a share; choose a number from 0 to 1",
        True,
    ),
    "beyond the histogram": (
        f'{HEAD}{STEP}[[objective]]\nmetric = "p99"\nat_most = "2m"\n',
        "day.toml:7: objective[0].at_most: 2m is not within 1us and 1m40s",
        False,
    ),
    "p99 of single probes": (
        f'{HEAD}{STEP}[[objective]]\nmetric = "p99"\nat_most = 1\nname = "orders-*"\n',
        "day.toml:8: objective[0].name: p99 of single probes is never measured",
        False,
    ),
    "recovery of labels": (
        f'{HEAD}{STEP}[[objective]]\nmetric = "recovery"\nat_most = 1\nlabels = {{ a = "b" }}\n',
        "day.toml:8: objective[0].labels: recovery is measured per cluster and namespace, never by labels",
        False,
    ),
    "window": (f'{HEAD}{STEP}requires = {{ window = [{{ at = "09:00" }}] }}\n', "at is not a window", False),
    "day": (
        f'{HEAD}{STEP}requires = {{ window = [{{ days = ["monday"], at = "09:00", duration = "1h" }}] }}\n',
        '"monday" is not a day; did you mean mon?',
        True,
    ),
    "patience": (f'{HEAD}{STEP}requires = {{ patience = "2h" }}\n', "requires.patience: 2h is not within 0s and 1h", False),
    "steady state": (
        f"{HEAD}{STEP}requires = {{ steady_state = [{{ healthy_ratio = 9.5 }}] }}\n",
        "day.toml:5: step[0].requires.steady_state[0].healthy_ratio: 9.5 is not a share",
        True,
    ),
    "requires a list": (f"{HEAD}{STEP}requires = [1]\n", "day.toml:5: step[0].requires: [1] is not a table", True),
    "too many": (
        HEAD + "".join(f'[[step]]\nname = "s{n}"\nhold = 1\n' for n in range(65)),
        "65 steps; the bound is 1 to 64",
        True,
    ),
}


@pytest.mark.parametrize(("text", "told", "in_schema"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_told_where_it_stands_and_how_to_mend_it(text, told, in_schema):
    assert told in refused(text)
    assert VALIDATOR.is_valid(tomllib.loads(text)) is not in_schema


def test_all_of_it_is_told_at_once_in_the_order_of_lines():
    told = refused(f'{HEAD}max_length = "1"\n[[step]]\nname = "one"\nholt = 1\n[[step]]\nexperiment = 5\n')
    assert told.splitlines()[0] == "4 problems"
    assert [line.split(":")[1] for line in told.splitlines()[1:]] == ["2", "5", "6", "7"]


def test_the_schema_is_one_and_accepts_the_example():
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(EXAMPLE.read_text()))] == []


def test_every_key_is_described():
    for name, table in VALIDATOR.schema["$defs"].items():
        undescribed = [key for key, field in table.get("properties", {}).items() if not _described(field)]
        assert undescribed == [], name


def _described(field):
    return any("description" in one for one in (field, *field.get("anyOf", ()))) or "$ref" in str(field)


def test_what_is_written_is_what_is_read():
    scenario = read(
        f'{HEAD}on_failure = "continue"\n[requires]\ntoggles = ["chaos.enabled"]\npatience = "5s"\nno_other_run = false\n'
        f'{STEP}wait = "1m"\non_failure = "stop"\n[[step]]\nname = "two"\nneeds = ["one"]\nhold = 5\n'
        '[[step.objective]]\nmetric = "p99"\nnamespace = "orders"\nat_most = "250ms"\n'
    )
    assert scenario.requires == Requirements(toggles=("chaos.enabled",), patience_s=5.0, no_other_run=False)
    one, two = scenario.steps
    assert (one.wait_s, one.on_failure, one.experiment) == (60.0, "stop", "slow")
    assert (two.needs, two.hold_s, two.on_failure, two.experiment) == (("one",), 5.0, "continue", None)
    [objective] = two.objectives
    assert (objective.metric, objective.bound, objective.title) == (Metric.P99, 0.25, "p99 of orders <= 250ms")
