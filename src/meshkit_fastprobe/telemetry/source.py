"""What the renderers read: the part of a Diagnostics that metrics are made of, as structure rather than a class to inherit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from meshkit_fastprobe.model import BudgetUse, ProbeOptions
from meshkit_fastprobe.telemetry.usage import Usage


class RegistrationLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def options(self) -> ProbeOptions: ...


class GroupsLike(Protocol):
    @property
    def tags(self) -> Sequence[tuple[str, str, str, Any]]:
        """cluster, namespace, kind, labels of each base group."""

    @property
    def overflowed(self) -> int: ...


class CatalogLike(Protocol):
    @property
    def groups(self) -> GroupsLike: ...
    @property
    def version(self) -> int: ...
    def at(self, slot: int) -> RegistrationLike | None: ...


class TableLike(Protocol):
    @property
    def capacity(self) -> int: ...
    @property
    def high_water(self) -> int: ...
    @property
    def compact(self) -> bool: ...  # histograms of half the size
    def column(self, name: str) -> NDArray[Any]: ...
    def totals(self) -> Mapping[str, Any]: ...
    def merge_groups(self, n_groups: int, out_hist: NDArray[Any], out_runs: NDArray[Any]) -> None: ...
    def merge_sums(self, n_groups: int, out_latency_s: NDArray[Any], out_transitions: NDArray[Any]) -> None: ...


class FlapsLike(Protocol):
    @property
    def flapping(self) -> NDArray[Any]:
        """By slot: whether it changes its state too often to be told of each time."""


class Source(Protocol):
    """Diagnostics, or in a test anything with a table and a catalog."""

    @property
    def catalog(self) -> CatalogLike: ...
    @property
    def table(self) -> TableLike: ...
    @property
    def flaps(self) -> FlapsLike: ...
    @property
    def dropped(self) -> int:
        """Records lost to full rings since the start."""

    def budgets(self) -> Sequence[BudgetUse]:
        """Of each group that shares the host."""

    def counted(self, name: str) -> int:
        """By the engine since the start: "syn_retransmissions", "stray_datagrams"."""

    @property
    def usage(self) -> Usage:
        """How the endpoints are used."""
