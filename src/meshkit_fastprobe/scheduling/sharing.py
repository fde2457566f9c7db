"""Which probes share a budget: groups by the value of one tag, as the engine and the lanes number them.

Base groups (one for each set of tags, see `Groups`) fold into groups of a budget. The named ones have the first numbers, the
others follow as they come, and what comes after MAX_BUDGET_GROUPS shares number 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meshkit_fastprobe._native.engine import Engine
from meshkit_fastprobe.model import Budget, BudgetUse, Lane, Settings
from meshkit_fastprobe.probes.catalog import Groups, Registration, Tags

MAX_BUDGET_GROUPS: Final = 1024
OTHERS: Final = "(others)"
"""What number 0 is called: probes whose groups came after the last that is counted apart."""
BURST_NS: Final = 100_000_000
"""Runs for so much time may start at once: the engine's ticks are a hundredth of it, and a late step needs no new budget."""


class Sharing:
    """Groups of one session: their numbers, names and budgets, and how many of them have probes in a lane."""

    def __init__(self, settings: Settings, groups: Groups) -> None:
        self._budgets = settings.budgets
        self._groups = groups
        self.names = [OTHERS, *sorted(self._budgets.groups)][:MAX_BUDGET_GROUPS]
        self._number = {name: number for number, name in enumerate(self.names) if number}
        self.of_base = [0]
        """By base group, the number of the group that its probes share a budget with."""
        self.weights = [self.budget(number).weight for number in range(MAX_BUDGET_GROUPS)]
        self.present = dict.fromkeys(Lane, 0)
        """Groups that have probes in this lane."""
        self._probes: dict[tuple[Lane, int], int] = {}

    def budget(self, number: int) -> Budget:
        name = self.names[number] if 0 < number < len(self.names) else None
        return self._budgets.each if name is None else self._budgets.groups.get(name, self._budgets.each)

    def tell(self, engine: Engine) -> None:
        """Bound the engine's groups, before it starts."""
        for number in range(MAX_BUDGET_GROUPS):
            budget = self.budget(number)
            engine.budget(
                number,
                max_in_flight=budget.max_in_flight or 0,
                weight=budget.weight,
                every_ns=round(1e9 / budget.max_rate) if budget.max_rate else 0,
                burst_ns=BURST_NS if budget.max_rate else 0,
            )

    def enter(self, registration: Registration) -> int:
        """The group of a probe that is placed from now on."""
        while len(self.of_base) < len(self._groups):
            self.of_base.append(self._number_of(self._groups.tags[len(self.of_base)]))
        number = self.of_base[registration.group]
        key = registration.lane, number
        probes = self._probes[key] = self._probes.get(key, 0) + 1
        if probes == 1:
            self.present[registration.lane] += 1
        return number

    def leave(self, registration: Registration) -> None:
        """A placed probe is gone."""
        key = registration.lane, self.of_base[registration.group]
        self._probes[key] -= 1
        if not self._probes[key]:
            del self._probes[key]
            self.present[registration.lane] -= 1

    def use(self, engine: Engine, waiting: Sequence[Sequence[int]], skipped: Sequence[Sequence[int]]) -> list[BudgetUse]:
        """What the groups with probes make of their budgets; waiting and skipped: by number, of each Python lane's own line."""
        shown = sorted({number for _, number in self._probes}, key=self.names.__getitem__)
        rows = []
        for number in shown:
            stats = engine.group_stats(number)
            queued = sum(lane[number] for lane in waiting)
            rows.append(
                BudgetUse(
                    group=self.names[number],
                    in_flight=max(0, stats["in_flight"] - queued),
                    waiting=stats["waiting"] + queued,
                    waited=stats["waited"],
                    skipped_saturated=stats["skipped_saturated"] + sum(lane[number] for lane in skipped),
                    skipped_budget=stats["skipped_budget"],
                )
            )
        return rows

    def _number_of(self, tags: Tags) -> int:
        cluster, namespace, kind, labels = tags
        known = {**dict(labels), "cluster": cluster, "namespace": namespace, "kind": kind}
        name = known.get(self._budgets.by, "")
        number = self._number.get(name)
        if number is None:
            if len(self.names) >= MAX_BUDGET_GROUPS:
                return 0
            number = self._number[name] = len(self.names)
            self.names.append(name)
        return number
