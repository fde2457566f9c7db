"""Who is who: one Registration per probe, by name and by slot, and the base groups that the table's `group` column numbers."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.registration import Registration
from meshkit_fastprobe.errors import CapacityError, DuplicateNameError, UnknownProbeError

__all__ = ["MAX_GROUPS", "Catalog", "Groups", "Registration", "Tags"]

MAX_GROUPS: Final = 16384
"""Distinct tag sets that keep windows of their own; later ones share group 0, and say so in the log."""

LEAST_SLOTS: Final = 64
"""Room made at a time, and then by half of what there is."""

Tags: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]
"""cluster, namespace, kind, sorted labels: one base group each."""


class Axis:
    """One value of each base group, numbered as it comes up: which groups have it is one comparison for all of them."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._number: dict[str, int] = {}
        self._of_group = np.empty(LEAST_SLOTS, np.intp)
        self._groups = 0

    def append(self, value: str) -> None:
        """Of the next group."""
        if self._groups == len(self._of_group):
            self._of_group = np.concatenate([self._of_group, np.empty_like(self._of_group)])
        number = self._number.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        self._of_group[self._groups] = number
        self._groups += 1

    @property
    def of_group(self) -> NDArray[np.intp]:
        """What `values` has for each group, by its place there."""
        return self._of_group[: self._groups]

    def has(self, value: str) -> NDArray[np.bool_]:
        """Whether each group has this one."""
        return np.equal(self.of_group, self._number.get(value, -1))


class Groups:
    """Base groups: tag sets numbered densely, never renumbered. Group 0 is where tag sets beyond MAX_GROUPS end up."""

    def __init__(self) -> None:
        self._number: dict[Tags, int] = {}
        self.tags: list[Tags] = []
        self.places = Axis()
        """As people say whom it concerns: "cluster/namespace"."""
        self._clusters, self._namespaces, self._kinds = Axis(), Axis(), Axis()
        self.overflowed = 0
        self._append(("", "", "", ()))

    def number(self, tags: Tags) -> int:
        found = self._number.get(tags)
        if found is None:
            if len(self.tags) >= MAX_GROUPS:
                self.overflowed += 1
                return 0
            found = self._number[tags] = len(self.tags)
            self._append(tags)
        return found

    def meeting(
        self, cluster: str | None, namespace: str | None, kind: str | None, labels: frozenset[tuple[str, str]]
    ) -> NDArray[np.bool_]:
        """Whether each has all that is asked for. There may be thousands, and an experiment waits for the answer."""
        meets = np.ones(len(self.tags), np.bool_)
        for axis, value in ((self._clusters, cluster), (self._namespaces, namespace), (self._kinds, kind)):
            if value is not None:
                meets &= axis.has(value)
        if labels:
            for group in np.flatnonzero(meets).tolist():
                meets[group] = labels.issubset(self.tags[group][3])
        return meets

    def _append(self, tags: Tags) -> None:
        cluster, namespace, kind, _ = tags
        self.tags.append(tags)
        self._clusters.append(cluster)
        self._namespaces.append(namespace)
        self._kinds.append(kind)
        self.places.append(f"{cluster}/{namespace}")

    def __len__(self) -> int:
        return len(self.tags)


class Kept:
    """What a reload under way keeps for itself: names, dependencies and room, until it is done, or undone."""

    def __init__(self) -> None:
        self.names: tuple[Container[str], ...] = ()
        """Of the probes that go, and of those that come."""
        self.depends_on: Mapping[str, tuple[str, ...]] = {}
        """Of those that come."""
        self.room = 0
        """Places that nobody else may take."""
        self.given_up: set[str] = set()
        """Names that somebody has removed meanwhile: the last word on them."""

    def __contains__(self, name: object) -> bool:
        return name not in self.given_up and any(name in names for names in self.names)


class Catalog:
    """All registrations. `version` moves with every change, so that caches of names know when they are old."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.by_name: dict[str, Registration] = {}
        self.by_slot: NDArray[np.object_] = np.empty(0, np.object_)
        """A registration, or None. No list: a full collection visits what that holds, a million for a tenth of a second."""
        self.depends_on: dict[str, tuple[str, ...]] = {}
        """Of those that depend on anything."""
        self.kept: Kept | None = None
        """By the reload that is under way, if any."""
        self.groups = Groups()
        self.kinds: list[str] = []
        self.version = 0

    def __len__(self) -> int:
        return len(self.by_name)

    def __iter__(self) -> Iterator[Registration]:
        return iter(self.by_name.values())

    def __getitem__(self, name: str) -> Registration:
        try:
            return self.by_name[name]
        except KeyError:
            raise UnknownProbeError(name) from None

    def at(self, slot: int) -> Registration | None:
        return cast("Registration | None", self.by_slot[slot]) if slot < len(self.by_slot) else None

    def kind_number(self, kind: str) -> int:
        """The dense number of a kind in the table's `kind` column; `kinds[number]` is its name."""
        if kind not in self.kinds:
            self.kinds.append(kind)
        return self.kinds.index(kind)

    def refuse(self, names: Sequence[str]) -> None:
        """Raise unless all of these names can be registered together."""
        taken = len(self.by_name) + (0 if self.kept is None else self.kept.room)
        if taken + len(names) > self.capacity:
            raise CapacityError(
                f"{taken} probes are registered, {len(names)} more would pass the bound of {self.capacity}; "
                "raise Settings.max_probes"
            )
        seen: set[str] = set()
        for name in names:
            if name in self.by_name or name in seen or (self.kept is not None and name in self.kept):
                raise taken_name(name)
            seen.add(name)

    def put(self, registration: Registration) -> None:
        slot = registration.slot
        if slot >= len(self.by_slot):
            self.by_slot = np.concatenate([self.by_slot, np.empty(max(LEAST_SLOTS, slot // 2), np.object_)])
        self.by_slot[slot] = registration
        self.by_name[registration.name] = registration
        self.options_changed(registration)

    def options_changed(self, registration: Registration) -> None:
        """Keep what others look up by options."""
        if registration.options.depends_on:
            self.depends_on[registration.name] = registration.options.depends_on
        else:
            self.depends_on.pop(registration.name, None)
        self.version += 1

    def drop(self, registration: Registration) -> None:
        del self.by_name[registration.name]
        self.depends_on.pop(registration.name, None)
        self.by_slot[registration.slot] = None
        self.version += 1


def taken_name(name: str) -> DuplicateNameError:
    """What to raise."""
    return DuplicateNameError(f"probe {name!r}", "this name is taken", "give each probe a name of its own (name=...)")
