"""[budgets]: who shares, and how much of it; and the bounds that Settings.budgets keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from meshkit_fastprobe.config.places import Place, Problems, shown
from meshkit_fastprobe.config.shapes import (
    LABEL_KEY_PATTERN,
    MAX_IN_FLIGHT,
    MAX_LABEL_KEY_LENGTH,
    MAX_NAMED_BUDGETS,
    MAX_RATE,
    MAX_WEIGHT,
    MIN_RATE,
    BudgetKeys,
    BudgetsKeys,
)
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.model import MAX_NAME_LENGTH, Budget, Budgets

_tag = re.compile(LABEL_KEY_PATTERN)


def read_budgets(place: Place, raw: object, problems: Problems) -> Budgets:
    """Budgets from their table."""
    groups: object = {}
    if isinstance(raw, Mapping):
        groups = raw.get("groups", {})
        raw = {key: value for key, value in raw.items() if key != "groups"}
    read = read_table(place, raw, BudgetsKeys, problems)
    fields: dict[str, Any] = {"by": read["by"]} if "by" in read else {}
    if isinstance(raw, Mapping) and "each" in raw and "each" in read:
        fields["each"] = _budget(place.at("each"), raw["each"], problems)
    if isinstance(groups, Mapping):
        fields["groups"] = {name: _budget(place.at("groups", name), table, problems) for name, table in groups.items()}
    else:
        problems.add(place.at("groups"), f"{shown(groups)} is not a table", "write [budgets.groups.NAME] and its keys below")
    return Budgets(**fields)


def _budget(place: Place, raw: object, problems: Problems) -> Budget:
    return Budget(**read_table(place, raw, BudgetKeys, problems))


def check_budgets(budgets: Budgets, at: Callable[[str], Place], problems: Problems) -> None:
    """Refuse what cannot be."""
    if not isinstance(budgets.by, str) or len(budgets.by) > MAX_LABEL_KEY_LENGTH or not _tag.fullmatch(budgets.by):
        problems.add(
            at("budgets.by"), f"{shown(budgets.by)} is not a tag", "write cluster, namespace, kind, or the key of a label"
        )
    _check_budget(budgets.each, at("budgets.each"), problems)
    named = at("budgets.groups")
    if len(budgets.groups) > MAX_NAMED_BUDGETS:
        problems.add(
            named,
            f"{len(budgets.groups)} groups are more than {MAX_NAMED_BUDGETS}",
            "name those that need a budget of their own",
        )
    for name, budget in budgets.groups.items():
        if len(name) > MAX_NAME_LENGTH or not name.isprintable():
            problems.add(named, f"{shown(name)} is not a value of a tag", f"write up to {MAX_NAME_LENGTH} printable characters")
        _check_budget(budget, named.at(name), problems)


_BOUNDS: Final = {
    "max_in_flight": (int, 1, MAX_IN_FLIGHT, "choose a whole number between them, or remove the key"),
    "max_rate": (int | float, MIN_RATE, MAX_RATE, "choose runs a second between them, or remove the key"),
    "weight": (int, 1, MAX_WEIGHT, "choose a whole number between them"),
}


def _check_budget(budget: Budget, place: Place, problems: Problems) -> None:
    for key, (kind, lowest, highest, fix) in _BOUNDS.items():
        value = getattr(budget, key)
        if value is None and key != "weight":
            continue
        if isinstance(value, bool) or not isinstance(value, kind) or not lowest <= value <= highest:
            problems.add(place.at(key), f"{shown(value)} is not in {lowest}..{highest}", fix)
