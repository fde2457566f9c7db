"""Looking at a scenario before it runs: against a host that is asked, or a configuration that is read. Nothing is injected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import trio

from meshkit_fastprobe.chaos.scenarios.hands import HostLostError, HostRefusedError
from meshkit_fastprobe.chaos.scenarios.planning import (
    Bounds,
    Count,
    Known,
    ScenarioPlan,
    bounds_of,
    known_experiments,
    plan_scenario,
    shared_resources,
)
from meshkit_fastprobe.cli.client import Client
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.scenario_hands import HttpHands, shown_of
from meshkit_fastprobe.config.durations import format_duration
from meshkit_fastprobe.config.places import Place
from meshkit_fastprobe.config.scenario import load_scenario
from meshkit_fastprobe.config.spec import Config
from meshkit_fastprobe.errors import ConfigError, ConfigErrors
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.loading import load_config
from meshkit_fastprobe.scenarios import MEASURED, Scenario


class Looked(msgspec.Struct, frozen=True):
    """A plan with what the host would do for it, by experiment: items as it tells them; shown: what of them is said yes to."""

    plan: ScenarioPlan
    items: Mapping[str, Mapping[str, Any]]
    shown: Mapping[str, Mapping[str, object]]


async def look(scenario: Scenario, place: Place, hands: HttpHands) -> Looked:
    """Rehearse every experiment, so that all plans can be shown at once: each step prepares its own."""
    try:
        plan = await _planned(scenario, place, hands)
        items: dict[str, Mapping[str, Any]] = {}
        refused: dict[str, HostRefusedError] = {}
        for experiment in plan.experiments:
            try:
                items[experiment] = await hands.rehearsed(experiment)
            except HostRefusedError as error:
                refused[experiment] = error
    except HostLostError as error:
        what = "is a host running there? start one with: fastprobe run CONFIG"
        raise CliError(str(error), f"{what}  (asked {hands.url})", Exit.UNREACHABLE) from None
    except HostRefusedError as error:
        raise CliError(error.what, error.fix, Exit.REFUSED) from None
    if refused:
        told = "; ".join(dict.fromkeys(error.what for error in refused.values()))
        raise CliError(f"nothing was injected: {told}", next(iter(refused.values())).fix, Exit.REFUSED)
    plans = {experiment: item["run"]["plan"] for experiment, item in items.items()}
    resources = {experiment: frozenset(plan["resources"]) for experiment, plan in plans.items()}
    for one, other, same in shared_resources(scenario, resources):
        what = f"{other.name} may run beside {one.name}, and both touch {', '.join(sorted(same))}"
        raise CliError(what, f'let one wait for the other: needs = ["{one.name}"]')
    return Looked(plan, items, {experiment: shown_of(its) for experiment, its in plans.items()})


async def _planned(scenario: Scenario, place: Place, hands: HttpHands) -> ScenarioPlan:
    """Against what the host knows."""
    known = await hands.experiments()
    counts: dict[Selector, int] = {}
    for probes in _meant(scenario):
        counts[probes] = sum((await hands.sums(probes)).states.values())
    return plan_scenario(scenario, known, count=counts.__getitem__, place=place)


def linted(files: Sequence[Path], config: Path | None, client: Client | None) -> list[dict[str, Any]]:
    """What is wrong with each file."""
    read = None if config is None else load_config(config)
    if read is not None and read.settings.chaos is None:
        raise CliError(f"{config}: there is no [chaos]", "name the configuration of a host that has experiments")
    return [_linted(file, read, client) for file in files]


def _linted(file: Path, config: Config | None, client: Client | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"file": str(file), "ok": True, "steps": 0, "longest": "", "against": "", "errors": []}
    try:
        scenario, place = load_scenario(file)
        if client is not None:
            hands = HttpHands(client)
            plan = trio.run(_asked, scenario, place, hands)
            answer["against"] = f"at {hands.host}"
        elif config is not None:
            known, bounds, count = _of_config(config)
            plan = plan_scenario(scenario, known, bounds, count=count, place=place)
            answer["against"] = f"by {config.document.path}"
        else:
            plan = plan_scenario(scenario, _anything(scenario), place=place)
            answer["against"] = "by itself: --config or --host looks at its experiments too"
    except ConfigError as error:
        errors = error.errors if isinstance(error, ConfigErrors) else (error,)
        told = [{"where": each.where, "problem": each.problem, "fix": each.fix} for each in errors]
        return answer | {"ok": False, "errors": told}
    compared = client is not None or config is not None
    return answer | {"steps": len(plan.steps), "longest": format_duration(plan.longest_s) if compared else ""}


async def _asked(scenario: Scenario, place: Place, hands: HttpHands) -> ScenarioPlan:
    try:
        return await _planned(scenario, place, hands)
    except HostLostError as error:
        raise CliError(str(error), "is a host running there?", Exit.UNREACHABLE) from None
    except HostRefusedError as error:
        raise CliError(error.what, error.fix, Exit.REFUSED) from None


def _of_config(config: Config) -> tuple[Mapping[str, Known], Bounds, Count]:
    chaos = config.settings.chaos
    assert chaos is not None
    probes = [(spec.name, spec.options) for spec in config.probes]

    def count(selector: Selector) -> int:
        return sum(
            (selector.name is None or fnmatchcase(name, selector.name))
            and selector.cluster in {None, options.cluster}
            and selector.namespace in {None, options.namespace}
            and dict(options.labels).items() >= dict(selector.labels).items()
            for name, options in probes
        )

    return known_experiments(chaos), bounds_of(chaos), count


def _anything(scenario: Scenario) -> dict[str, Known]:
    """Where nothing is known: every experiment there is said to be, harmless to all others, as long as nothing."""
    named = {step.experiment for step in scenario.steps if step.experiment is not None}
    return {name: Known(fault="", duration_s=0.0, recovery_s=0.0, resources=frozenset()) for name in named}


def _meant(scenario: Scenario) -> set[Selector]:
    """All sets of probes that something is judged by, as plain selectors and steady states alike."""
    objectives = [*scenario.objectives, *(one for step in scenario.steps for one in step.objectives)]
    requires = [scenario.requires, *(step.requires for step in scenario.steps)]
    return {
        *(one.probes for one in objectives if one.metric not in MEASURED),
        *(steady for one in requires for steady in one.steady_state),
    }
