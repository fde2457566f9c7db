"""A scenario file: from TOML to a Scenario, or to everything that is wrong with it at once.

What a host has to be asked for (whether its experiments exist, what they touch) is planned in chaos/scenarios/planning.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from meshkit_fastprobe.config.chaos import check_share, check_time, read_each, read_selector, read_tables
from meshkit_fastprobe.config.chaos_shapes import SelectorKeys, SteadyStateKeys
from meshkit_fastprobe.config.document import read_document
from meshkit_fastprobe.config.durations import parse_duration
from meshkit_fastprobe.config.maintenance import check_when, read_when
from meshkit_fastprobe.config.options import check_labels, check_text
from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion
from meshkit_fastprobe.config.scenario_shapes import (
    MAX_REQUIRED,
    ObjectiveKeys,
    RequiresKeys,
    ScenarioKeys,
    StepKeys,
    WindowKeys,
)
from meshkit_fastprobe.config.spec import Document
from meshkit_fastprobe.config.tables import fields_of, read_table
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.experiments import ID_PATTERN, Selector, SteadyState
from meshkit_fastprobe.scenarios import (
    DEFAULT_LENGTH_S,
    MAX_LENGTH_S,
    MAX_OBJECTIVES,
    MAX_STEPS,
    MAX_WAIT_S,
    MEASURED,
    QUANTILES,
    SHARES,
    Objective,
    OnFailure,
    Requirements,
    Scenario,
    Step,
)
from meshkit_fastprobe.when import Once, Weekly

MIN_LENGTH_S: Final = 1.0
MIN_BOUND_S: Final = 1e-6
MAX_BOUND_S: Final = 3600.0
LONGEST_LATENCY_S: Final = 100.0
"""What histograms tell apart; beyond it are timeouts."""

_id = re.compile(ID_PATTERN)


def load_scenario(path: str | os.PathLike[str]) -> tuple[Scenario, Place]:
    """Read a file; the place names it in messages to come. ConfigError, or ConfigErrors, says what is wrong and where."""
    return read_scenario(read_document(path))


def read_scenario(document: Document) -> tuple[Scenario, Place]:
    """The same of a parsed one."""
    root, raw, problems = Place((), document.source), document.data, Problems()
    lists = {key: read_tables(root.at(key), raw[key], problems) for key in ("step", "objective") if key in raw}
    read = _read(root, raw, ScenarioKeys, {"step", "objective", "requires"}, ("max_length",), problems)
    if "step" not in raw:
        problems.add(root, "step is missing", "write at least one [[step]]")
    on_failure: OnFailure = read.get("on_failure", "stop")
    steps = read_each(root.at("step"), lists.get("step", []), _step, problems, on_failure)
    scenario = Scenario(
        name=read.get("name", ""),
        says=read.get("says", ""),
        on_failure=on_failure,
        max_length_s=read.get("max_length", DEFAULT_LENGTH_S),
        requires=_requires(root.at("requires"), raw["requires"], problems) if "requires" in raw else Requirements(),
        objectives=read_each(root.at("objective"), lists.get("objective", []), _objective, problems),
        steps=steps,
    )
    # A list with holes would shift the places of what is checked below.
    if not len(problems):
        check_scenario(scenario, root, problems)
    problems.refuse()
    return scenario, root


def check_scenario(scenario: Scenario, root: Place, problems: Problems) -> None:
    """Refuse what cannot be, of the file or of code, as far as no host has to be asked."""
    _check_id(root.at("name"), scenario.name, problems)
    _check_text(root.at("says"), scenario.says, problems)
    check_time(root.at("max_length"), scenario.max_length_s, MIN_LENGTH_S, MAX_LENGTH_S, problems)
    _check_requires(root.at("requires"), scenario.requires, problems)
    _check_objectives(root.at("objective"), scenario.objectives, problems)
    if not 1 <= len(scenario.steps) <= MAX_STEPS:
        problems.add(root.at("step"), f"{len(scenario.steps)} steps; the bound is 1 to {MAX_STEPS}", "split the scenario")
    names = [step.name for step in scenario.steps]
    for index, step in enumerate(scenario.steps):
        place = root.at("step", index)
        if step.name in names[:index]:
            problems.add(place.at("name"), f"{shown(step.name)} is the name of a step already", "choose another")
        _check_step(place, step, names, problems)


def _step(place: Place, raw: Mapping[str, Any], problems: Problems, on_failure: OnFailure) -> Step | None:
    before = len(problems)
    objectives = read_tables(place.at("objective"), raw["objective"], problems) if "objective" in raw else []
    read = _read(place, raw, StepKeys, {"objective", "requires"}, ("wait", "hold"), problems)
    requires = _requires(place.at("requires"), raw["requires"], problems) if "requires" in raw else Requirements()
    judged_by = read_each(place.at("objective"), objectives, _objective, problems)
    if len(problems) > before:
        return None
    return Step(
        name=read["name"],
        experiment=read.get("experiment"),
        needs=read.get("needs", ()),
        wait_s=read.get("wait", 0.0),
        hold_s=read.get("hold", 0.0),
        on_failure=read.get("on_failure", on_failure),
        requires=requires,
        objectives=judged_by,
        says=read.get("says", ""),
    )


def _objective(place: Place, raw: Mapping[str, Any], problems: Problems) -> Objective | None:
    before = len(problems)
    read = read_table(place, raw, ObjectiveKeys, problems)
    if len(problems) > before:
        return None
    metric = read["metric"]
    key, other = ("at_least", "at_most") if metric in SHARES else ("at_most", "at_least")
    if key not in read or other in read:
        wrong = f"{metric} with {other}" if other in read else f"{metric} without a bound"
        problems.add(place.at(other) if other in read else place, wrong, f"write {key} = ...")
        return None
    try:
        bound = float(read[key]) if metric in SHARES else parse_duration(place.at(key), read[key])
    except ConfigError as error:
        problems.take(error)
        return None
    probes = {name: read[name] for name in fields_of(SelectorKeys) if name in read and name != "labels"}
    labels = tuple(sorted(read.get("labels", {}).items()))
    return Objective(metric=metric, bound=bound, probes=Selector(**probes, labels=labels), name=read.get("title", ""))


def _requires(place: Place, raw: object, problems: Problems) -> Requirements:
    if not isinstance(raw, Mapping):
        problems.add(place, f"{shown(raw)} is not a table", "write [requires] and its keys below")
        return Requirements()
    lists = {key: raw[key] for key in ("steady_state", "window") if key in raw}
    read = _read(place, raw, RequiresKeys, set(lists), ("patience",), problems)
    steady = read_tables(place.at("steady_state"), lists.get("steady_state", []), problems)
    windows = read_tables(place.at("window"), lists.get("window", []), problems)
    given = {key: read[key] for key in ("toggles", "no_incident", "no_other_run") if key in read}
    return Requirements(
        **given,
        patience_s=read.get("patience", 0.0),
        steady_state=read_each(place.at("steady_state"), steady, _steady_state, problems),
        windows=read_each(place.at("window"), windows, _window, problems),
    )


def _steady_state(place: Place, raw: Mapping[str, Any], problems: Problems) -> SteadyState:
    return read_selector(place, raw, SteadyState, SteadyStateKeys, problems)


def _window(place: Place, raw: Mapping[str, Any], problems: Problems) -> Once | Weekly | None:
    before = len(problems)
    read = read_table(place, raw, WindowKeys, problems)
    if len(problems) > before:
        return None
    try:
        return read_when(place, read)
    except ConfigError as error:
        problems.take(error)
        return None


def _read(
    place: Place, raw: Mapping[str, Any], shape: Any, elsewhere: set[str], durations: tuple[str, ...], problems: Problems
) -> dict[str, Any]:
    """The keys of a table but those that are read elsewhere, with durations in seconds."""
    found = Problems()
    read = read_table(place, {key: value for key, value in raw.items() if key not in elsewhere}, shape, found)
    for error in found.found:
        if error.problem not in {f"{key} is missing" for key in elsewhere}:
            problems.take(error)
    for key in durations:
        if key in read:
            try:
                read[key] = parse_duration(place.at(key), read[key])
            except ConfigError as error:
                problems.take(error)
                del read[key]
    return read


def _check_step(place: Place, step: Step, names: list[str], problems: Problems) -> None:
    _check_id(place.at("name"), step.name, problems)
    _check_text(place.at("says"), step.says, problems)
    if step.experiment is not None:
        _check_id(place.at("experiment"), step.experiment, problems)
    elif not step.hold_s:
        problems.add(place, f"{step.name} does nothing", 'name its experiment, or how long to look: hold = "10s"')
    for key in ("wait", "hold"):
        check_time(place.at(key), getattr(step, f"{key}_s"), 0.0, MAX_WAIT_S, problems)
    for index, need in enumerate(step.needs):
        if need == step.name:
            problems.add(place.at("needs", index), f"{step.name} needs itself", "remove it")
        elif need not in names:
            problems.add(place.at("needs", index), f"no step is named {shown(need)}", suggestion(need, names))
        elif need in step.needs[:index]:
            problems.add(place.at("needs", index), f"{shown(need)} is named twice", "name it once")
    _check_requires(place.at("requires"), step.requires, problems)
    _check_objectives(place.at("objective"), step.objectives, problems)


def _check_requires(place: Place, requires: Requirements, problems: Problems) -> None:
    check_time(place.at("patience"), requires.patience_s, 0.0, MAX_WAIT_S, problems)
    for key, given in (("toggles", requires.toggles), ("steady_state", requires.steady_state), ("window", requires.windows)):
        if len(given) > MAX_REQUIRED:
            problems.add(
                place.at(key), f"{len(given)} are given; the bound is {MAX_REQUIRED}", "remove those that are not needed"
            )
    for index, steady in enumerate(requires.steady_state):
        check_share(place.at("steady_state", index, "healthy_ratio"), steady.healthy_ratio, problems)
        _check_labels(place.at("steady_state", index, "labels"), steady, problems)
    for index, when in enumerate(requires.windows):
        check_when(when, _within(place.at("window", index)), problems)


def _within(place: Place) -> Callable[..., Place]:
    return place.at


def _check_objectives(place: Place, objectives: tuple[Objective, ...], problems: Problems) -> None:
    if len(objectives) > MAX_OBJECTIVES:
        problems.add(place, f"{len(objectives)} objectives; the bound is {MAX_OBJECTIVES}", "remove those that say the same")
    for index, objective in enumerate(objectives):
        _check_objective(place.at(index), objective, problems)


def _check_objective(place: Place, objective: Objective, problems: Problems) -> None:
    metric, probes = objective.metric, objective.probes
    _check_labels(place.at("labels"), probes, problems)
    if objective.name:
        _check_text(place.at("title"), objective.name, problems)
    if metric in SHARES:
        check_share(place.at("at_least"), objective.bound, problems)
    else:
        most_s = LONGEST_LATENCY_S if metric in QUANTILES else MAX_BOUND_S
        check_time(place.at("at_most"), objective.bound, MIN_BOUND_S, most_s, problems)
    if metric in QUANTILES and probes.name is not None:
        problems.add(place.at("name"), f"{metric} of single probes is never measured", "choose by cluster, namespace or labels")
    if metric in MEASURED and (probes.name is not None or probes.labels):
        key = "name" if probes.name is not None else "labels"
        fix = "choose by cluster or namespace, or leave it to the experiment"
        problems.add(place.at(key), f"{metric} is measured per cluster and namespace, never by {key}", fix)


def _check_labels(place: Place, selector: Selector, problems: Problems) -> None:
    try:
        check_labels(place, dict(selector.labels))
    except ConfigError as error:
        problems.take(error)


def _check_id(place: Place, text: str, problems: Problems) -> None:
    if not _id.fullmatch(text):
        problems.add(place, f"{shown(text)} is not an id", "write 1 to 48 small letters, digits and dashes")


def _check_text(place: Place, text: str, problems: Problems) -> None:
    try:
        check_text(place, text, empty=True)
    except ConfigError as error:
        problems.take(error)
