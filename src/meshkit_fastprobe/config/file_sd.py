"""Prometheus' file_sd format: a list of {targets: [...], labels: {...}}, JSON or YAML.

The labels cluster and namespace become ours; labels that begin with __ are dropped, but __address__, which is what to probe in
place of the listed target.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from meshkit_fastprobe.config.options import check_labels, check_text
from meshkit_fastprobe.config.places import Place, Problems, Source, shown
from meshkit_fastprobe.errors import ConfigError

EXAMPLE: Final = '{"targets": ["10.0.0.1:80"], "labels": {"env": "prod"}}'
YAML_FIX: Final = "install it with: pip install 'meshkit-fastprobe[yaml]', or write JSON"


class Group(msgspec.Struct, frozen=True, gc=False):
    """What the labels of a group say."""

    cluster: str = ""
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    address: str = ""


NO_GROUP: Final = Group()
Listed: TypeAlias = tuple[object, Place, Group]
"""A target as it was read (which need not be text), where, and with what group."""


def read_groups(path: str, text: str, problems: Problems) -> Iterator[Listed]:
    """The targets of a file. ConfigError when it is not JSON or YAML; smaller mistakes go to `problems`."""
    place = Place(source=Source(path))
    groups = _parse_json(place, path, text) if not path.endswith((".yml", ".yaml")) else _parse_yaml(place, text)
    if not isinstance(groups, list):
        problems.add(place, "not a list of groups", f"write [{EXAMPLE}]")
        return
    for index, raw in enumerate(groups):
        at = place.at(index)
        targets = raw.get("targets") if isinstance(raw, Mapping) else None
        if not isinstance(raw, Mapping) or not isinstance(targets, list):
            problems.add(at, f"{shown(raw)} has no list of targets", f"write {EXAMPLE}")
            continue
        for key in raw.keys() - {"targets", "labels"}:
            problems.add(at.at(str(key)), f"unknown key {shown(key)}", "known: targets, labels")
        try:
            group = _group(at.at("labels"), raw.get("labels") or {})
        except ConfigError as error:
            problems.take(error)
            continue
        for number, target in enumerate(targets):
            yield target, at.at("targets", number), group


def _group(place: Place, labels: object) -> Group:
    if not isinstance(labels, Mapping) or not all(isinstance(part, str) for pair in labels.items() for part in pair):
        raise ConfigError(str(place), f"{shown(labels)} is not a map from text to text", 'write {"env": "prod"}')
    return Group(
        cluster=check_text(place.at("cluster"), labels.get("cluster", ""), empty=True),
        namespace=check_text(place.at("namespace"), labels.get("namespace", ""), empty=True),
        labels=check_labels(
            place, {key: text for key, text in labels.items() if key not in _FIELDS and not key.startswith("__")}
        ),
        address=check_text(place.at("__address__"), labels.get("__address__", ""), empty=True),
    )


_FIELDS: Final = frozenset({"cluster", "namespace"})


def _parse_json(place: Place, path: str, text: str) -> object:
    if not path.endswith(".json"):
        raise ConfigError(
            str(place), "the name of a file_sd file ends in .json, .yml or .yaml, which says what it holds", "rename it"
        )
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}", f"broken JSON at column {error.colno}: {error.msg}", "correct it") from None
    except (RecursionError, ValueError) as error:  # nested too deeply; a number of thousands of digits
        raise ConfigError(path, f"JSON that cannot be read: {error}", "correct it") from None


def _parse_yaml(place: Place, text: str) -> object:
    try:
        import yaml
    except ImportError:
        raise ConfigError(str(place), "reading YAML needs an optional part", YAML_FIX) from None
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{place}{line}", f"broken YAML: {error.problem}", "correct it") from None
    except (
        yaml.YAMLError,
        RecursionError,
        ValueError,
    ) as error:  # control characters; nested too deeply; a date such as 2024-99-99
        raise ConfigError(str(place), f"YAML that cannot be read: {str(error).splitlines()[0]}", "correct it") from None
