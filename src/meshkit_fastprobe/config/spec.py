"""What a loaded configuration is: settings, and one spec for every probe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import msgspec

from meshkit_fastprobe.config.places import Source
from meshkit_fastprobe.model import Maintenance, ProbeOptions, Settings


class ProbeLike(Protocol):
    """What a configuration knows of a probe: probes stand in a layer above this one."""

    kind: ClassVar[str]

    @property
    def target(self) -> str: ...


class Registry(Protocol):
    """Kinds by name: of probes (probes.registry.ProbeRegistry), or of faults (chaos.faults.registry.FaultRegistry)."""

    def __getitem__(self, name: str) -> type[msgspec.Struct]: ...
    def __contains__(self, name: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def register(self, kind: type[msgspec.Struct]) -> None: ...
    def copy(self) -> Self: ...


Kinds: TypeAlias = Registry
"""Of probes."""
Faults: TypeAlias = Registry


class ProbeSpec(msgspec.Struct, frozen=True, gc=False):
    """One probe to run. `source` says where it was written: "fastprobe.toml:12: probe[3]"."""

    name: str
    probe: ProbeLike
    options: ProbeOptions
    source: str


class FileSeen(msgspec.Struct, frozen=True, gc=False):
    """A file as it was when it was read: another stamp means that it has changed."""

    path: str
    modified_ns: int
    size: int
    inode: int


class TargetFiles(msgspec.Struct, frozen=True):
    """A targets_file or file_sd entry: which files it names, how often to look, and what they were when read."""

    patterns: tuple[str, ...]
    refresh_s: float
    seen: tuple[FileSeen, ...]


class Document(msgspec.Struct, frozen=True, eq=False):
    """A configuration file as parsed: kept, so that target files are read again without reading a half-edited main file."""

    path: str
    source: Source
    data: dict[str, Any]


class Config(msgspec.Struct, frozen=True, eq=False):
    """Everything a configuration file asks for."""

    settings: Settings
    probes: tuple[ProbeSpec, ...]
    target_files: tuple[TargetFiles, ...]
    document: Document
    kinds: Kinds
    """The registry with what the plug-ins of this file added."""

    maintenance: tuple[Maintenance, ...] = ()
    faults: Faults | None = None
    """The registry of faults, likewise; None when there is no [chaos]."""

    @property
    def by_name(self) -> dict[str, ProbeSpec]:
        """The specs of all probes, by their names."""
        return {spec.name: spec for spec in self.probes}

    @property
    def refresh_s(self) -> float | None:
        """How often to look whether target files have changed; None when there are none."""
        return min((files.refresh_s for files in self.target_files), default=None)
