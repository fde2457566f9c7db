"""What a judgement needs to know of all probes, read at one moment: a part of a snapshot, at a part of its price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.directory import Directory
from meshkit_fastprobe.aggregation.selection import select
from meshkit_fastprobe.probes.catalog import Groups


class Seen(Protocol):
    """What a Glance and a Snapshot both tell: row r of every column is the probe names[r]."""

    @property
    def names(self) -> list[str]: ...
    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """state, stale and group, at least."""

    @property
    def base_groups(self) -> Groups:
        """By the numbers in columns["group"]."""

    def select(
        self,
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> NDArray[np.intp]:
        """Ascending rows that meet all that is asked for; name is a glob."""


class Glance(msgspec.Struct, frozen=True, eq=False):
    """Copies, as in a snapshot: nothing in them changes."""

    directory: Directory
    columns: dict[str, NDArray[Any]]
    """state, stale and group."""
    base_groups: Groups

    @property
    def names(self) -> list[str]:
        return self.directory.names

    def select(
        self,
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> NDArray[np.intp]:
        return select(
            self.directory,
            self.columns,
            self.base_groups,
            cluster=cluster,
            namespace=namespace,
            kind=None,
            labels=labels,
            states=None,
            name=name,
        )


_: type[Seen] = Glance
