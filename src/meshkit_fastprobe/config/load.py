"""From a TOML file to a Config, or to everything that is wrong with it at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from meshkit_fastprobe.config.chaos import load_fault_plugins
from meshkit_fastprobe.config.dependencies import check_dependencies
from meshkit_fastprobe.config.document import read_document
from meshkit_fastprobe.config.file_shape import FileKeys
from meshkit_fastprobe.config.files import matching, stamp
from meshkit_fastprobe.config.gathering import Gathering
from meshkit_fastprobe.config.maintenance import read_maintenance
from meshkit_fastprobe.config.options import BUILT_IN, read_options
from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion
from meshkit_fastprobe.config.plugins import load_plugins
from meshkit_fastprobe.config.settings import COUNTS, read_settings
from meshkit_fastprobe.config.spec import Config, Document, Faults, Kinds, TargetFiles
from meshkit_fastprobe.config.tables import explain, fields_of
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import ProbeOptions

LATER: Final = {
    "fleet": "a fleet of hosts is not supported by this version",
}
"""Tables of later versions: ignoring one would be worse than refusing it."""


def load(path: str | os.PathLike[str], kinds: Kinds, faults: Callable[[], Faults]) -> Config:
    """Read a file and everything it names. Blocks: call it from a worker thread while probes run.

    faults: gives the fault kinds; called for a file with [chaos] only, so that no other has to import them.
    ConfigError, or ConfigErrors for several, says file, line where known, key, value, bound and fix.
    """
    return build(read_document(path), kinds, faults)


def refresh(config: Config) -> Config:
    """The same document with its target files read again; the main file is not looked at. Blocks as load does."""
    return _assemble(config.document, config.kinds, config.faults, Problems())


def target_files_changed(config: Config) -> bool:
    """Whether a target file differs from what was read, or a pattern names other files now."""
    return any(_changed(files) for files in config.target_files)


def build(document: Document, kinds: Kinds, faults: Callable[[], Faults]) -> Config:
    """Judge a document: the registries are copied, then its plug-ins add to the copies."""
    problems = Problems()
    kinds = kinds.copy()
    place = Place(("plugins",), document.source)
    plugins = document.data.get("plugins", ())
    try:
        load_plugins(place, msgspec.convert(plugins, tuple[str, ...], strict=True), kinds, problems)
    except msgspec.ValidationError as error:
        explain(place, plugins, error, problems)
    known = faults().copy() if "chaos" in document.data else None
    if known is not None:
        load_fault_plugins(Place(("chaos",), document.source), document.data["chaos"], known, problems)
    return _assemble(document, kinds, known, problems)


def _assemble(document: Document, kinds: Kinds, faults: Faults | None, problems: Problems) -> Config:
    root = Place((), document.source)
    folder = Path(document.path).parent
    data = document.data
    _check_top(root, data, problems)
    settings = read_settings(root, data, folder, problems, kinds, faults)
    defaults = _read_defaults(root.at("defaults"), data.get("defaults", {}), problems)
    max_probes = settings.max_probes if settings.max_probes > 0 else COUNTS["max_probes"][1]  # a wrong bound is said once
    gathering = Gathering(
        root,
        folder=folder,
        kinds=kinds,
        cluster=settings.cluster,
        defaults=defaults,
        max_probes=max_probes,
        problems=problems,
    )
    _add_tables(gathering, root.at("probe"), data.get("probe", []), problems)
    if not len(problems):
        check_dependencies(gathering.specs, gathering.tables, problems)
    maintenance = read_maintenance(root.at("maintenance"), data.get("maintenance", []), problems)
    problems.refuse()
    return Config(settings, tuple(gathering.specs.values()), tuple(gathering.files), document, kinds, maintenance, faults)


def _check_top(root: Place, data: Mapping[str, Any], problems: Problems) -> None:
    for key in data:
        if key in LATER:
            problems.add(root.at(key), LATER[key], f"remove [{key}]")
        elif key not in fields_of(FileKeys):
            problems.add(root.at(key), f"unknown key {shown(key)}", suggestion(key, fields_of(FileKeys)))


def _read_defaults(place: Place, raw: object, problems: Problems) -> ProbeOptions:
    if not isinstance(raw, Mapping):
        problems.add(place, f"{shown(raw)} is not a table", "write [defaults] and its keys below")
        return BUILT_IN
    if "depends_on" in raw:
        problems.add(
            place.at("depends_on"), "a default dependency would make its probe depend on itself", "write it in each [[probe]]"
        )
        raw = {key: value for key, value in raw.items() if key != "depends_on"}
    return read_options(place, BUILT_IN, raw, problems)


def _add_tables(gathering: Gathering, place: Place, raw: object, problems: Problems) -> None:
    if not isinstance(raw, list):
        problems.add(place, f"{shown(raw)} is not a list of tables", "write [[probe]], with two brackets")
        return
    for index, table in enumerate(raw):
        if isinstance(table, Mapping):
            gathering.add(index, table)
        else:
            problems.add(place.at(index), f"{shown(table)} is not a table", "write [[probe]] and its keys below")


def _changed(files: TargetFiles) -> bool:
    try:
        now = tuple(stamp(path) for pattern in files.patterns for path in matching(Place(), Path(pattern)))
    except ConfigError:
        return True
    return now != files.seen
