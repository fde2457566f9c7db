"""Live probes in the order of their names: what snapshots of one catalog version share."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.probes.catalog import Catalog, Registration


class Directory(msgspec.Struct, frozen=True, eq=False):
    """Row r of a snapshot is the probe names[r], registrations[r], in slots[r]."""

    version: int
    names: list[str]
    registrations: list[Registration]
    slots: NDArray[np.intp]
    generations: NDArray[np.uint32]
    dependents: NDArray[np.intp]
    """Rows that depend on others, once for each one they depend on..."""
    dependencies: NDArray[np.intp]
    """... and the rows they depend on."""
    packed_names: msgspec.Raw
    """names in MessagePack."""

    @classmethod
    def read(cls, catalog: Catalog) -> Directory:
        registrations = sorted(catalog, key=attrgetter("name"))
        names = [registration.name for registration in registrations]
        edges = [
            (row, dependency)
            for row, registration in enumerate(registrations)
            for name in registration.options.depends_on
            if (dependency := _row(names, name)) is not None
        ]
        dependents, dependencies = np.array(edges, np.intp).reshape(-1, 2).T
        return cls(
            version=catalog.version,
            names=names,
            registrations=registrations,
            slots=np.fromiter((registration.slot for registration in registrations), np.intp, len(names)),
            generations=np.fromiter((registration.generation for registration in registrations), np.uint32, len(names)),
            dependents=dependents,
            dependencies=dependencies,
            packed_names=msgspec.Raw(msgspec.msgpack.encode(names)),
        )

    def row(self, name: str) -> int | None:
        """None when no probe has this name."""
        return _row(self.names, name)

    def suppressed(self, unhealthy: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Rows that depend, directly or through others, on one that is unhealthy."""
        suppressed = np.zeros(len(unhealthy), bool)
        while self.dependents.size:
            hit = (unhealthy | suppressed)[self.dependencies] & ~suppressed[self.dependents]
            if not hit.any():
                break
            suppressed[self.dependents[hit]] = True
        return suppressed


def _row(names: list[str], name: str) -> int | None:
    row = bisect_left(names, name)
    return row if row < len(names) and names[row] == name else None
