"""What a reload has to change, what it must leave alone, and what it came to. Pure: sets of specs in, their difference out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from meshkit_fastprobe.config.spec import ProbeSpec
from meshkit_fastprobe.turns import Turns, parts


class ReloadDiff(msgspec.Struct, frozen=True):
    """Specs are those of the new configuration. What stands in none of these keeps its state and its phase."""

    added: tuple[ProbeSpec, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[ProbeSpec, ...] = ()
    """Other questions, other targets or other options, under a name that was there before."""
    adjusted: AbstractSet[str] = frozenset()
    """Names of the changed ones that ask the same of the same target: only how they are run and judged is new."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class ReloadSummary(msgspec.Struct, frozen=True):
    """What a reload came to, in probes."""

    added: int
    removed: int
    changed: int
    untouched: int
    needs_restart: bool
    """Settings of the host or the server differ from those it runs with."""

    def __str__(self) -> str:
        told = f"{self.added} added, {self.removed} removed, {self.changed} changed, {self.untouched} untouched"
        return f"{told}; changed [host], [server] or [engine] settings need a restart" if self.needs_restart else told


def by_name(specs: Iterable[ProbeSpec]) -> Turns[dict[str, ProbeSpec]]:
    """The specs by their names, a little at a time."""
    found: dict[str, ProbeSpec] = {}
    for some in parts(specs):
        found.update((spec.name, spec) for spec in some)
        yield
    return found


def diff(current: Mapping[str, ProbeSpec], new: Mapping[str, ProbeSpec], there: Container[str]) -> Turns[ReloadDiff]:
    """Compare by name, a little at a time. Where a spec was written makes no difference: lines move.

    there: which names are still in use; one of `current` that is not counts as if it had never been.
    """
    added, removed, changed = [], [], []
    adjusted: set[str] = set()
    for some in parts(new.items()):
        for name, spec in some:
            before = current.get(name) if name in there else None
            if before is None:
                added.append(spec)
            elif before.probe != spec.probe:
                changed.append(spec)
            elif before.options != spec.options:
                changed.append(spec)
                adjusted.add(name)
        yield
    for names in parts(current):
        removed += [name for name in names if name not in new and name in there]
        yield
    return ReloadDiff(added=tuple(added), removed=tuple(removed), changed=tuple(changed), adjusted=adjusted)
