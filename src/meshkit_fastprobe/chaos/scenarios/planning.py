"""What a scenario comes to on a host: in which order, what at the same time, how long at most, or why it cannot be.

Values in, values out: nothing is asked of anybody here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import msgspec

from meshkit_fastprobe.chaos.overlaps import shared
from meshkit_fastprobe.config.durations import format_duration
from meshkit_fastprobe.config.places import Place, Problems, Source, shown, suggestion
from meshkit_fastprobe.config.scenario import check_scenario
from meshkit_fastprobe.experiments import ChaosSettings, Experiment, Selector, parameters_of
from meshkit_fastprobe.scenarios import MEASURED, Objective, Scenario, Step

PLACES: Final = ("point", "proxy", "target", "targets", "sockets")
"""Keys of faults that say what is touched: two faults with the same words, or overlapping addresses, under one of them touch
the same."""
OVERHEAD_S: Final = 30.0
"""What starting and undoing one fault may take at worst: the deadlines of chaos/life.py."""

Count = Callable[[Selector], int]
"""How many probes of the host are meant."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What planning has to know of an experiment of the host.

    watched: probes judge it, so that its times are measured. groups: whom it says it concerns, "cluster/namespace".
    """

    fault: str
    duration_s: float
    recovery_s: float
    resources: frozenset[str]
    groups: frozenset[str] = frozenset()
    watched: bool = True
    two_person: bool = False

    @property
    def longest_s(self) -> float:
        """Until it is over, whatever happens."""
        return OVERHEAD_S + self.duration_s + self.recovery_s


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How far the host lets experiments go, as far as it is known."""

    max_concurrent: int
    max_concurrent_per_group: int
    cooldown_s: float


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A step in its place. begins_s: at the earliest; ends_s: at the latest, both from the start of the scenario."""

    step: Step
    wave: int
    begins_s: float
    ends_s: float


class ScenarioPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in an order in which each comes after what it needs; those of one wave may run at the same time."""

    scenario: Scenario
    steps: tuple[Planned, ...]
    longest_s: float

    @property
    def experiments(self) -> tuple[str, ...]:
        """Each once, in the order of their first step."""
        named = (planned.step.experiment for planned in self.steps)
        return tuple(dict.fromkeys(name for name in named if name is not None))


def plan_scenario(
    scenario: Scenario,
    known: Mapping[str, Known],
    bounds: Bounds | None = None,
    *,
    count: Count | None = None,
    place: Place | None = None,
) -> ScenarioPlan:
    """ConfigError, or ConfigErrors, with everything that keeps it from being carried out, or from being judged.

    known: the experiments of the host. bounds, count: what else is known of it. place: of the file, for messages.
    """
    problems = Problems()
    place = place or Place(source=Source(f"scenario {shown(scenario.name)}"))
    if place.path or place.source is None or not place.source.lines:  # a file has been checked when it was read
        check_scenario(scenario, place, problems)
        problems.refuse()
    _check_experiments(scenario, known, place, problems)
    _check_circle(scenario, place, problems)
    problems.refuse()
    plan = _laid_out(scenario, known)
    before = _ancestors(scenario)
    _check_overlaps(scenario, known, place, problems)
    _check_objectives(scenario, known, count, place, problems)
    if plan.longest_s > scenario.max_length_s:
        longest, cap = format_duration(plan.longest_s), format_duration(scenario.max_length_s)
        problems.add(place.at("max_length"), f"it may last {longest}; the bound is {cap}", "raise max_length, or shorten steps")
    if bounds is not None:
        _check_bounds(scenario, known, bounds, before, place, problems)
    problems.refuse()
    return plan


def known_experiments(settings: ChaosSettings) -> dict[str, Known]:
    """Of a configuration."""
    return {one.id: _known(one, settings) for one in settings.experiments}


def bounds_of(settings: ChaosSettings) -> Bounds:
    """Of a configuration."""
    return Bounds(
        max_concurrent=settings.max_concurrent,
        max_concurrent_per_group=settings.max_concurrent_per_group,
        cooldown_s=settings.cooldown_s,
    )


def touched(parameters: Mapping[str, Any]) -> frozenset[str]:
    """What a fault with these parameters says it touches; the host knows more once it has planned it."""
    found: set[str] = set()
    for key in PLACES:
        value = parameters.get(key)
        for each in value if isinstance(value, list | tuple) else [value] if value else []:
            found.add(f"{key.removesuffix('s') if key == 'targets' else key}:{each}")
    return frozenset(found)


def shared_resources(
    scenario: Scenario, resources: Mapping[str, frozenset[str]]
) -> Iterator[tuple[Step, Step, frozenset[str]]]:
    """Pairs of steps that may run at the same time and touch the same. resources: by experiment."""
    before = _ancestors(scenario)
    for one, other in _at_once(scenario, before):
        assert one.experiment is not None
        assert other.experiment is not None
        same = shared(*(resources.get(name, frozenset()) for name in (one.experiment, other.experiment)))
        if same or one.experiment == other.experiment:
            yield one, other, same


# -- checks --------------------------------------------------------------------------------------------------------------------


def _known(one: Experiment, settings: ChaosSettings) -> Known:
    named = one.cluster or one.namespace
    return Known(
        fault=one.fault.kind,
        duration_s=one.duration_s,
        recovery_s=one.recovery_s,
        resources=touched(parameters_of(one.fault)),
        groups=frozenset({f"{one.cluster}/{one.namespace}"}) if named else frozenset(),
        watched=one.affects is not None or one.steady_state is not None,
        two_person=one.two_person or settings.two_person,
    )


def _check_experiments(scenario: Scenario, known: Mapping[str, Known], place: Place, problems: Problems) -> None:
    for index, step in enumerate(scenario.steps):
        if step.experiment is not None and step.experiment not in known:
            what = f"the host has no experiment {shown(step.experiment)}"
            problems.add(place.at("step", index, "experiment"), what, suggestion(step.experiment, known))


def _check_circle(scenario: Scenario, place: Place, problems: Problems) -> None:
    left = {step.name: set(step.needs) for step in scenario.steps}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    if not left:
        return
    # Walk back along needs until a step comes twice: from there on it is the circle.
    walked = [next(iter(left))]
    while walked.count(walked[-1]) < 2:
        walked.append(min(left[walked[-1]] & left.keys()))
    circle = walked[walked.index(walked[-1]) :]
    index = next(at for at, step in enumerate(scenario.steps) if step.name == circle[0])
    told = " needs ".join(circle)
    problems.add(place.at("step", index, "needs"), f"steps wait for each other: {told}", "remove one of these needs")


def _check_overlaps(scenario: Scenario, known: Mapping[str, Known], place: Place, problems: Problems) -> None:
    resources = {name: one.resources for name, one in known.items()}
    for one, other, same in shared_resources(scenario, resources):
        index = scenario.steps.index(other)
        what = ", ".join(sorted(same)) or f"experiment {other.experiment}"
        fix = f'let one wait for the other: needs = ["{one.name}"]'
        problems.add(place.at("step", index), f"{other.name} may run beside {one.name}, and both touch {what}", fix)


def _check_objectives(
    scenario: Scenario, known: Mapping[str, Known], count: Count | None, place: Place, problems: Problems
) -> None:
    used = [known[step.experiment] for step in scenario.steps if step.experiment is not None]
    for at, objective in enumerate(scenario.objectives):
        _check_objective(place.at("objective", at), objective, used, count, problems)
    for index, step in enumerate(scenario.steps):
        own = [known[step.experiment]] if step.experiment is not None else []
        for at, objective in enumerate(step.objectives):
            _check_objective(place.at("step", index, "objective", at), objective, own, count, problems)
        for at, steady in enumerate(step.requires.steady_state):
            _check_seen(place.at("step", index, "requires", "steady_state", at), steady, count, problems)
    for at, steady in enumerate(scenario.requires.steady_state):
        _check_seen(place.at("requires", "steady_state", at), steady, count, problems)


def _check_objective(
    place: Place, objective: Objective, experiments: list[Known], count: Count | None, problems: Problems
) -> None:
    if objective.metric in MEASURED and not any(one.watched for one in experiments):
        why = "no experiment is run" if not experiments else "no probes watch the experiment"
        fix = "give the experiment steady_state or affects" if experiments else "name an experiment, or choose another metric"
        problems.add(place, f"{objective.metric} is never measured: {why}", fix)
    elif objective.metric not in MEASURED:
        _check_seen(place, objective.probes, count, problems)


def _check_seen(place: Place, probes: Selector, count: Count | None, problems: Problems) -> None:
    if count is not None and not count(probes):
        problems.add(place, "no probe is meant: it can never be measured", "look at them: fastprobe probes list")


def _check_bounds(
    scenario: Scenario,
    known: Mapping[str, Known],
    bounds: Bounds,
    before: Mapping[str, frozenset[str]],
    place: Place,
    problems: Problems,
) -> None:
    harmful = [step for step in scenario.steps if step.experiment is not None]
    most = _most_at_once([step.name for step in harmful], before)
    if most > bounds.max_concurrent:
        what = f"{most} experiments may run at the same time; the host bears {bounds.max_concurrent}"
        problems.add(place.at("step"), what, "raise chaos.max_concurrent, or let steps need each other")
    for group in sorted({group for step in harmful for group in known[step.experiment or ""].groups}):
        there = [step.name for step in harmful if group in known[step.experiment or ""].groups]
        most = _most_at_once(there, before)
        if most > bounds.max_concurrent_per_group:
            what = f"{most} experiments that concern {group} may run at the same time"
            fix = (
                f"the host bears {bounds.max_concurrent_per_group} (chaos.max_concurrent_per_group): let steps need each other"
            )
            problems.add(place.at("step"), what, fix)
    _check_rests(scenario, known, bounds, before, place, problems)


def _check_rests(
    scenario: Scenario,
    known: Mapping[str, Known],
    bounds: Bounds,
    before: Mapping[str, frozenset[str]],
    place: Place,
    problems: Problems,
) -> None:
    for one, other in combinations([step for step in scenario.steps if step.experiment is not None], 2):
        first, then = (one, other) if one.name in before[other.name] else (other, one)
        if first.name not in before[then.name]:
            continue
        assert first.experiment is not None
        assert then.experiment is not None
        touched_by = (known[name].resources for name in (first.experiment, then.experiment))
        same = first.experiment == then.experiment or shared(*touched_by)
        rest_s = _least_between(scenario, known, before, first, then) + then.requires.patience_s
        if same and rest_s < bounds.cooldown_s:
            what = f"{then.name} may begin {format_duration(rest_s)} after {first.name} on the same thing"
            fix = f'the host asks for {format_duration(bounds.cooldown_s)}: raise wait, or requires = {{ patience = "..." }}'
            problems.add(place.at("step", scenario.steps.index(then)), what, fix)


# -- the graph -----------------------------------------------------------------------------------------------------------------


def _laid_out(scenario: Scenario, known: Mapping[str, Known]) -> ScenarioPlan:
    done: dict[str, Planned] = {}
    while len(done) < len(scenario.steps):
        for step in scenario.steps:
            if step.name in done or not all(need in done for need in step.needs):
                continue
            needs = [done[need] for need in step.needs]
            begins_s = max((need.begins_s + _least(need.step, known) for need in needs), default=0.0) + step.wait_s
            at_latest_s = max((need.ends_s for need in needs), default=scenario.requires.patience_s) + step.wait_s
            done[step.name] = Planned(
                step=step,
                wave=max((need.wave + 1 for need in needs), default=0),
                begins_s=begins_s,
                ends_s=at_latest_s + step.requires.patience_s + _longest(step, known) + step.hold_s,
            )
    ordered = sorted(done.values(), key=lambda planned: planned.wave)
    return ScenarioPlan(scenario=scenario, steps=tuple(ordered), longest_s=max(one.ends_s for one in ordered))


def _least(step: Step, known: Mapping[str, Known]) -> float:
    """From its beginning on, when all goes well."""
    return (known[step.experiment].duration_s if step.experiment is not None else 0.0) + step.hold_s


def _longest(step: Step, known: Mapping[str, Known]) -> float:
    return known[step.experiment].longest_s if step.experiment is not None else 0.0


def _ancestors(scenario: Scenario) -> dict[str, frozenset[str]]:
    """Whatever is over before each step begins. The graph has no circle."""
    found: dict[str, frozenset[str]] = {}
    while len(found) < len(scenario.steps):
        for step in scenario.steps:
            if step.name not in found and all(need in found for need in step.needs):
                found[step.name] = frozenset(step.needs).union(*(found[need] for need in step.needs))
    return found


def _at_once(scenario: Scenario, before: Mapping[str, frozenset[str]]) -> Iterator[tuple[Step, Step]]:
    """Pairs of steps with experiments, neither of which waits for the other."""
    harmful = [step for step in scenario.steps if step.experiment is not None]
    for one, other in combinations(harmful, 2):
        if one.name not in before[other.name] and other.name not in before[one.name]:
            yield one, other


def _most_at_once(steps: Sequence[str], before: Mapping[str, frozenset[str]]) -> int:
    """The largest set of these of which none waits for another: by Dilworth, all of them less a largest matching."""
    follows: dict[str, str] = {}

    def matched(name: str, seen: set[str]) -> bool:
        for later in steps:
            if name in before[later] and later not in seen:
                seen.add(later)
                if later not in follows or matched(follows[later], seen):
                    follows[later] = name
                    return True
        return False

    return len(steps) - sum(matched(name, set()) for name in steps)


def _least_between(
    scenario: Scenario, known: Mapping[str, Known], before: Mapping[str, frozenset[str]], first: Step, then: Step
) -> float:
    """The shortest time between the end of one experiment and the beginning of another that waits for it."""
    begins: dict[str, float] = {first.name: first.hold_s}
    for step in sorted(scenario.steps, key=lambda step: len(before[step.name])):
        if first.name in before[step.name]:
            after = [begins[need] for need in step.needs if need in begins]
            begins[step.name] = max(after) + step.wait_s + (0.0 if step is then else _least(step, known))
    return begins[then.name]
