"""What a reload has to change, what it must leave alone, and what it came to. Pure: sets of specs in, their difference out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from meshkit_fastprobe.config.spec import ProbeSpec


class ReloadDiff(msgspec.Struct, frozen=True):
    """Specs are those of the new configuration. What stands in none of these keeps its state and its phase."""

    added: tuple[ProbeSpec, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[ProbeSpec, ...] = ()
    """Other questions, other targets or other options, under a name that was there before."""
    adjusted: frozenset[str] = frozenset()
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


def diff(current: Mapping[str, ProbeSpec], new: Mapping[str, ProbeSpec]) -> ReloadDiff:
    """Compare by name. Where a spec was written makes no difference: lines move."""
    changed = [spec for name, spec in new.items() if name in current and not _same(current[name], spec)]
    return ReloadDiff(
        added=tuple(spec for name, spec in new.items() if name not in current),
        removed=tuple(name for name in current if name not in new),
        changed=tuple(changed),
        adjusted=frozenset(spec.name for spec in changed if spec.probe == current[spec.name].probe),
    )


def _same(before: ProbeSpec, after: ProbeSpec) -> bool:
    return before.options == after.options and before.probe == after.probe
