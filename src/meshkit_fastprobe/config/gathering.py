"""From [[probe]] tables to probe specs: each table gives one probe, or one for every target it lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from meshkit_fastprobe.config.discovery import WAYS, Discovered, Found, discover
from meshkit_fastprobe.config.kinds import kind_of, make_probe, shape_of
from meshkit_fastprobe.config.options import OPTION_NAMES, check_text, merge_labels, read_options
from meshkit_fastprobe.config.places import Place, Problems, shown
from meshkit_fastprobe.config.spec import Kinds, ProbeSpec, TargetFiles
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import ProbeOptions


class Gathering:
    """The probes of a file, table by table."""

    def __init__(
        self,
        root: Place,
        *,
        folder: Path,
        kinds: Kinds,
        cluster: str,
        defaults: ProbeOptions,
        max_probes: int,
        problems: Problems,
    ) -> None:
        self.specs: dict[str, ProbeSpec] = {}
        self.files: list[TargetFiles] = []
        self.tables: dict[str, Place] = {}
        self._places: dict[str, Place] = {}
        self._root = root
        self._folder = folder
        self._kinds = kinds
        self._defaults = defaults
        self._cluster = cluster
        self._options: dict[ProbeOptions, ProbeOptions] = {}
        self._max_probes = max_probes
        self._problems = problems

    def add(self, index: int, raw: Mapping[str, Any]) -> None:
        """Add the probes of one [[probe]] table; what is wrong with it goes to the problems."""
        before = len(self._problems)
        place = self._root.at("probe", index)
        kind = kind_of(place, raw, self._kinds, self._problems)
        if kind is None:
            return
        read = self._read(place, raw, kind)
        options = read_options(place, self._defaults, {key: read[key] for key in OPTION_NAMES & read.keys()}, self._problems)
        if any(way in raw and way not in read for way in WAYS):
            return  # its target is there, and what is wrong with it is said
        discovered = discover(place, read, self._folder, self._problems)
        if discovered.files is not None:
            self.files.append(discovered.files)
        if len(self._problems) == before:
            self._expand(place, kind, read, options, discovered)

    def _read(self, place: Place, raw: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
        if "dns_srv" in raw:
            self._problems.add(
                place.at("dns_srv"),
                "targets from SRV records are not supported by this version",
                "use targets, targets_file or file_sd",
            )
            raw = {key: value for key, value in raw.items() if key != "dns_srv"}
        return read_table(place, raw, shape_of(kind), self._problems)

    def _expand(
        self, place: Place, kind: type[msgspec.Struct], read: Mapping[str, Any], options: ProbeOptions, discovered: Discovered
    ) -> None:
        own = {name: read[name] for name in kind.__struct_fields__ if name in read and name != "target"}
        prefix = read.get("name", kind.kind)  # type: ignore[attr-defined]  # every kind has one: the registry asked
        source = str(place)
        shared: dict[Any, ProbeOptions] = {}
        for found in discovered.targets:
            name = read["name"] if discovered.single and "name" in read else f"{prefix}:{found.listed}"
            if len(self.specs) >= self._max_probes:
                self._problems.add(
                    found.place, f"more than {self._max_probes} probes", "raise engine.max_probes, or list fewer targets"
                )
                return
            try:
                self._refuse_taken(name, place.at("name") if discovered.single and "name" in read else found.place)
                probe = make_probe(place, kind, own, found.target, found.place)
            except ConfigError as error:
                self._problems.take(error)
                continue
            grouped = shared.get(found.group)
            if grouped is None:
                grouped = _tagged(options, found, self._cluster)
                grouped = shared[found.group] = self._options.setdefault(grouped, grouped)  # equal options, one object
            self.specs[name] = ProbeSpec(name, probe, grouped, source)
            self.tables[name] = place
            self._places[name] = found.place

    def _refuse_taken(self, name: str, place: Place) -> None:
        check_text(place, name)
        if name in self.specs:
            raise ConfigError(
                str(place), f"the name {shown(name)} is taken by {self._places[name]}", "give each probe a name of its own"
            )


def _tagged(options: ProbeOptions, found: Found, cluster: str) -> ProbeOptions:
    """Options with what the group of a target says, which is nearer to it than the table; without a cluster, the host's own."""
    group = found.group
    return msgspec.structs.replace(
        options,
        cluster=group.cluster or options.cluster or cluster,
        namespace=group.namespace or options.namespace,
        labels=merge_labels(options.labels, group.labels),
    )
