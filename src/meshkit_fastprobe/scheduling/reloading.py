"""From one set of configured probes to another, a little at each turn of the event loop.

All that may speak against it is looked at before anything is changed. From then on names, dependencies and room are kept for
it, so that nothing that others add between its turns comes in its way; what they remove meanwhile stays removed. What goes
wrong all the same is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self, cast

from meshkit_fastprobe.config.dependencies import search_circle
from meshkit_fastprobe.config.diff import ReloadDiff, by_name, diff
from meshkit_fastprobe.config.spec import ProbeSpec
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.base import Probe
from meshkit_fastprobe.probes.catalog import Kept, Registration, taken_name
from meshkit_fastprobe.probes.registrar import circle_of
from meshkit_fastprobe.scheduling.roster import Roster
from meshkit_fastprobe.turns import Turns, parts

CHANGED_AT_ONCE: Final = 128
"""Probes registered, adjusted or removed between two turns: some 2 ms at most."""


class Reload:
    """One reload. One at a time: `with` it, what it keeps from others is kept until the end."""

    def __init__(self, roster: Roster, before: Sequence[ProbeSpec], after: Sequence[ProbeSpec]) -> None:
        self._roster = roster
        self._catalog = roster.catalog
        self._before = before
        self._after = after
        self._old: dict[str, ProbeSpec] = {}
        self._kept = Kept()
        self._change = ReloadDiff()
        self.untouched = 0
        """Probes there are, configured or not, that it leaves alone."""
        self._gone: list[ProbeSpec] = []
        self._came: list[str] = []
        self._adjusted: list[str] = []
        self._entered: list[Registration] = []

    def __enter__(self) -> Self:
        assert self._catalog.kept is None, "another reload is under way"
        self._catalog.kept = self._kept
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._catalog.kept = None

    def settle(self) -> Turns[ReloadDiff]:
        """What is to be changed. ConfigError when it cannot be; nothing is changed yet."""
        self._old = yield from by_name(self._before)
        new = yield from by_name(self._after)
        depends_on: dict[str, tuple[str, ...]] = {}
        for some in parts(self._after):
            depends_on.update((spec.name, spec.options.depends_on) for spec in some if spec.options.depends_on)
            yield
        self._kept.names, self._kept.depends_on = (self._old, new), depends_on
        self._change = yield from diff(self._old, new, self._catalog.by_name)
        yield from self._check_specs()
        yield from self._check_dependencies()
        self._check_room()
        return self._change

    def apply(self) -> Turns[None]:
        """Change it, to the end: as it was before, but for what others have done meanwhile, when an exception comes out."""
        try:
            yield from self._apply()
        except Exception:
            yield from self._undo()
            raise

    def _check_specs(self) -> Turns[None]:
        lanes: set[type] = set()
        for some in parts(self._change.changed):
            self._check_lanes(some, lanes)
            yield
        for some in parts(self._change.added):
            for spec in some:
                if spec.name in self._catalog.by_name and spec.name not in self._kept.given_up:
                    raise taken_name(spec.name)
            self._check_lanes(some, lanes)
            yield

    def _check_lanes(self, specs: Sequence[ProbeSpec], seen: set[type]) -> None:
        for spec in specs:
            if type(spec.probe) not in seen:
                seen.add(type(spec.probe))
                self._roster.registrar.lane(cast("Probe", spec.probe))

    def _check_dependencies(self) -> Turns[None]:
        """As they will be. Who adds some from here on looks at these as well."""
        edges = dict(self._catalog.depends_on)
        for some in parts(self._change.removed):
            for name in some:
                edges.pop(name, None)
            yield
        roots: list[str] = []
        for specs in (self._change.changed, self._change.added):
            for part in parts(specs):
                for spec in part:
                    edges.pop(spec.name, None)
                    if spec.options.depends_on:
                        edges[spec.name] = spec.options.depends_on
                        roots.append(spec.name)
                yield
        circle = yield from search_circle(edges, roots)
        if circle:
            raise circle_of(circle)

    def _check_room(self) -> None:
        change, catalog = self._change, self._catalog
        more = len(change.added) - len(change.removed)
        if len(catalog) + more > catalog.capacity:
            problem = f"{len(catalog) + more} probes would pass the bound of {catalog.capacity} that this host has started with"
            raise ConfigError("engine.max_probes", problem, "list fewer targets, or raise it and restart")
        self._kept.room = max(0, more)
        self.untouched = len(catalog) - len(change.removed) - len(change.changed)

    def _apply(self) -> Turns[None]:
        replaced: list[ProbeSpec] = []
        for some in parts(self._change.changed, CHANGED_AT_ONCE):
            replaced += self._adjust(some)
            yield
        for names in parts(self._change.removed, CHANGED_AT_ONCE):
            self._remove(names)
            yield
        for some in parts(self._change.added, CHANGED_AT_ONCE):
            self._enter(some)
            yield
        for some in parts(replaced, CHANGED_AT_ONCE):  # both in one turn: nobody sees the name without a probe
            self._remove([spec.name for spec in some])
            self._enter(some)
            yield
        self._roster.place(self._entered)

    def _undo(self) -> Turns[None]:
        """State of what was removed or replaced begins anew."""
        came, self._came, gone, self._gone, self._entered = self._came, [], self._gone, [], []
        for some in parts(came, CHANGED_AT_ONCE):
            self._remove(some)
            yield
        for some in parts(self._adjusted, CHANGED_AT_ONCE):
            adjusted = self._present(some)
            for registration in adjusted:
                self._roster.adjust(registration, self._old[registration.name].options)
            self._roster.reschedule(adjusted)
            yield
        for specs in parts(gone, CHANGED_AT_ONCE):
            self._enter([spec for spec in specs if spec.name not in self._catalog.by_name])
            yield
        self._roster.place(self._entered)

    def _adjust(self, specs: Sequence[ProbeSpec]) -> list[ProbeSpec]:
        """Those that need another slot are left over."""
        left, adjusted = [], []
        for spec in specs:
            registration = self._find(spec.name)
            if registration is None:
                continue
            if spec.name in self._change.adjusted and self._roster.adjust(registration, spec.options):
                adjusted.append(registration)
                self._adjusted.append(spec.name)
            else:
                left.append(spec)
        self._roster.reschedule(adjusted)
        return left

    def _remove(self, names: Sequence[str]) -> None:
        registrations = self._present(names)
        self._gone += [self._old[one.name] for one in registrations if one.name in self._old]
        self._roster.drop(registrations)
        self._kept.room += len(registrations)

    def _enter(self, specs: Sequence[ProbeSpec]) -> None:
        specs = [spec for spec in specs if spec.name not in self._kept.given_up]
        names = [spec.name for spec in specs]
        self._came += names
        probes = [cast("Probe", spec.probe) for spec in specs]
        self._entered += self._roster.enter(names, probes, [spec.options for spec in specs])
        self._kept.room -= len(specs)

    def _present(self, names: Sequence[str]) -> list[Registration]:
        return [registration for name in names if (registration := self._find(name)) is not None]

    def _find(self, name: str) -> Registration | None:
        """None when somebody has removed it meanwhile; the name may be in use again, by another."""
        return None if name in self._kept.given_up else self._catalog.by_name.get(name)
