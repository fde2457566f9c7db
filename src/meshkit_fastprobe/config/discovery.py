"""Targets of one [[probe]] table: written there, one a line in a file, or in file_sd files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from meshkit_fastprobe.config.durations import parse_duration
from meshkit_fastprobe.config.file_sd import NO_GROUP, Group, Listed, read_groups
from meshkit_fastprobe.config.files import matching, read_text
from meshkit_fastprobe.config.places import Place, Problems, Source, shown
from meshkit_fastprobe.config.shapes import MAX_TARGET_LENGTH
from meshkit_fastprobe.config.spec import FileSeen, TargetFiles
from meshkit_fastprobe.errors import ConfigError

DEFAULT_REFRESH_S: Final = 30.0
MIN_REFRESH_S: Final = 1.0
MAX_REFRESH_S: Final = 86_400.0
WAYS: Final = ("target", "targets", "targets_file", "file_sd")
PLACEHOLDER: Final = "{target}"

_comment = re.compile(r"(?:^|\s)#.*")


class Found(msgspec.Struct, frozen=True, gc=False):
    """One target: as listed (which names the probe), the target to probe, where it stands, and what its group says of it."""

    listed: str
    target: str
    place: Place
    group: Group = NO_GROUP


class Discovered(msgspec.Struct, frozen=True):
    """`single`: written as `target`, so the probe has the table's own name."""

    targets: tuple[Found, ...]
    single: bool
    files: TargetFiles | None = None


def discover(place: Place, read: Mapping[str, Any], folder: Path, problems: Problems) -> Discovered:
    """All targets of a table whose keys were read; relative paths begin at `folder`."""
    before = len(problems)
    way = _the_way(place, read, problems)
    template = _template(place, read, problems)
    refresh_s = _refresh(place, read, problems)
    if way is None or len(problems) > before:
        return Discovered((), single=False)
    if way == "target":
        listed = [(read["target"], place.at("target"), NO_GROUP)]
        return Discovered(tuple(_formatted(listed, template, problems)), single=True)
    if way == "targets":
        if not read["targets"]:
            problems.add(place.at("targets"), "an empty list", "name at least one target, or remove the table")
        listed = [(target, place.at("targets", index), NO_GROUP) for index, target in enumerate(read["targets"])]
        return Discovered(tuple(_formatted(listed, template, problems)), single=False)
    found: list[Found] = []
    seen: list[FileSeen] = []
    patterns = [folder / pattern for pattern in (read[way] if isinstance(read[way], tuple) else (read[way],))]
    for pattern in patterns:
        try:
            for path in matching(place.at(way), pattern):
                text, stamp = read_text(place.at(way), path)
                seen.append(stamp)
                reader = _lines if way == "targets_file" else read_groups
                found.extend(_formatted(reader(str(path), text, problems), template, problems))
        except ConfigError as error:
            problems.take(error)
    files = TargetFiles(tuple(str(pattern) for pattern in patterns), refresh_s, tuple(seen))
    return Discovered(tuple(found), single=False, files=files)


def _the_way(place: Place, read: Mapping[str, Any], problems: Problems) -> str | None:
    given = [way for way in WAYS if way in read]
    if not given:
        problems.add(place, "no target", f"add one of {', '.join(WAYS)}")
    elif len(given) > 1:
        problems.add(place.at(given[1]), f"{' and '.join(given)} together", "keep one of them")
    return given[0] if len(given) == 1 else None


def _template(place: Place, read: Mapping[str, Any], problems: Problems) -> str:
    template: str = read.get("target_format", PLACEHOLDER)
    if template.count(PLACEHOLDER) != 1:
        problems.add(
            place.at("target_format"),
            f"{shown(template)} does not hold {PLACEHOLDER} once",
            'write as "http://{target}/healthz"',
        )
    if "target_format" in read and "target" in read:
        problems.add(place.at("target_format"), "target_format beside target", "write the whole target, or list it in targets")
    return template


def _refresh(place: Place, read: Mapping[str, Any], problems: Problems) -> float:
    if "refresh" not in read:
        return DEFAULT_REFRESH_S
    if "targets_file" not in read and "file_sd" not in read:
        problems.add(place.at("refresh"), "refresh without a file to look at", "remove it, or use targets_file or file_sd")
    try:
        refresh_s = parse_duration(place.at("refresh"), read["refresh"])
    except ConfigError as error:
        problems.take(error)
        return DEFAULT_REFRESH_S
    if not MIN_REFRESH_S <= refresh_s <= MAX_REFRESH_S:
        problems.add(place.at("refresh"), f"{shown(read['refresh'])} is not within 1s and 1d", "choose a time between them")
    return refresh_s


def _formatted(listed: Iterable[Listed], template: str, problems: Problems) -> Iterator[Found]:
    before, after = template.split(PLACEHOLDER)
    for target, place, group in listed:
        if not isinstance(target, str) or not target or len(target) > MAX_TARGET_LENGTH or not target.isprintable():
            problems.add(
                place, f"{shown(target)} is not a target", f"write text of 1 to {MAX_TARGET_LENGTH} printable characters"
            )
        else:
            yield Found(target, f"{before}{group.address or target}{after}", place, group)


def _lines(path: str, text: str, _: Problems) -> Iterator[Listed]:
    for number, line in enumerate(text.split("\n"), 1):
        target = _comment.sub("", line).strip()
        if target:
            yield target, Place(source=Source(f"{path}:{number}")), NO_GROUP
