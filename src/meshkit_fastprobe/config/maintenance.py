"""[[maintenance]]: windows in which changes are not announced, and the bounds that every Maintenance keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.config.options import check_labels, check_text
from meshkit_fastprobe.config.places import Place, Problems, Source, shown, suggestion
from meshkit_fastprobe.config.shape_parts import AT_PATTERN, WEEKDAYS
from meshkit_fastprobe.config.shapes import MAX_MAINTENANCE, MaintenanceKeys
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Maintenance
from meshkit_fastprobe.when import Once, Weekly

MAX_ONCE: Final = timedelta(days=90)
MIN_WEEKLY_S: Final = 1.0
MAX_WEEKLY_S: Final = 7 * 86400.0

At = Callable[..., Place]
"""Where a key was written, or the window itself."""

_at = re.compile(AT_PATTERN)
_ONCE: Final = ("start", "end")
_WEEKLY: Final = ("days", "at", "duration")
_SCOPE: Final = ("name", "cluster", "namespace", "labels")


def zone(name: str) -> tzinfo:
    """The time zone of this name. ValueError when this host does not know it."""
    if name == "UTC":
        return UTC  # also where there is no database of time zones
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(name) from error
    except KeyError:
        raise ValueError(name) from None


def read_maintenance(place: Place, raw: object, problems: Problems) -> tuple[Maintenance, ...]:
    """The windows of a file."""
    if not isinstance(raw, list):
        problems.add(place, f"{shown(raw)} is not a list of tables", "write [[maintenance]], with two brackets")
        return ()
    if len(raw) > MAX_MAINTENANCE:
        problems.add(place, f"{len(raw)} windows; the bound is {MAX_MAINTENANCE}", "remove those that are past")
        return ()
    read = (_read_one(place.at(index), table, problems) for index, table in enumerate(raw))
    return tuple(window for window in read if window is not None)


def check_maintenance(window: Maintenance) -> None:
    """Refuse a window that code made and that cannot be."""
    problems = Problems()
    root = Place(source=Source("Maintenance"))
    if isinstance(window.labels, tuple):
        _check(window, root.at, problems)
    else:
        problems.add(root.at("labels"), f"{shown(window.labels)} is no tuple of pairs", 'write (("key", "value"),)')
    problems.refuse()


def _read_one(place: Place, raw: object, problems: Problems) -> Maintenance | None:
    before = len(problems)
    read = read_table(place, raw, MaintenanceKeys, problems)
    if len(problems) > before:
        return None
    try:
        when = read_when(place, read)
    except ConfigError as error:
        problems.take(error)
        return None
    scope = {key: read[key] for key in ("name", "cluster", "namespace") if key in read}
    labels = tuple(sorted(read.get("labels", {}).items()))
    window = Maintenance(reason=read["reason"], when=when, labels=labels, **scope)
    _check(window, place.at, problems)
    return window if len(problems) == before else None


def read_when(place: Place, read: Mapping[str, Any]) -> Once | Weekly:
    """A window from its keys."""
    given = [key for key in (*_ONCE, *_WEEKLY) if key in read]
    once = given == list(_ONCE)
    if not once and given != list(_WEEKLY):
        told = ", ".join(given) or "no time"
        raise ConfigError(str(place), f"{told} is not a window", f"write {' and '.join(_ONCE)}, or days, at and duration")
    name = read.get("time_zone", "UTC")
    if not once:
        duration_s = parse_duration(place.at("duration"), read["duration"])
        return Weekly(days=read["days"], at=read["at"], duration_s=duration_s, time_zone=name)
    try:
        start, end = (_aware(read[key], zone(name)) for key in _ONCE)
    except ValueError:
        raise _unknown_zone(place.at("time_zone"), name) from None
    return Once(start=start, end=end)


def _aware(moment: datetime, local: tzinfo) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=local)


def _check(window: Maintenance, at: At, problems: Problems) -> None:
    for key in ("reason", "name", "cluster", "namespace"):
        text = getattr(window, key)
        try:
            if text is not None:
                check_text(at(key), text, empty=key in {"cluster", "namespace"})
        except ConfigError as error:
            problems.take(error)
    try:
        check_labels(at("labels"), dict(window.labels))
    except ConfigError as error:
        problems.take(error)
    if not any(getattr(window, key) not in {None, ()} for key in _SCOPE):
        problems.add(at(), "it would cover every probe", 'narrow it, or write name = "*" if you mean that')
    check_when(window.when, at, problems)


def check_when(when: Once | Weekly, at: At, problems: Problems) -> None:
    """Refuse a window that cannot be."""
    if isinstance(when, Once):
        _check_once(when, at, problems)
    else:
        _check_weekly(when, at, problems)


def _check_once(when: Once, at: At, problems: Problems) -> None:
    if when.start.tzinfo is None or when.end.tzinfo is None:
        problems.add(at("start"), "a time without its zone", "write datetime(..., tzinfo=UTC)")
    elif when.end <= when.start:
        problems.add(at("end"), f"{when.end} is not after the start, {when.start}", "end it later")
    elif when.end - when.start > MAX_ONCE:
        problems.add(
            at("end"),
            f"{(when.end - when.start).days} days after the start; the bound is {MAX_ONCE.days}",
            "switch the probes off for as long as that (enabled = false)",
        )


def _check_weekly(when: Weekly, at: At, problems: Problems) -> None:
    for index, day in enumerate(when.days):
        if day not in WEEKDAYS:
            problems.add(at("days").at(index), f"{shown(day)} is not a day", suggestion(day, WEEKDAYS))
        elif day in when.days[:index]:
            problems.add(at("days").at(index), f"{shown(day)} is named twice", "name it once")
    if not when.days:
        problems.add(at("days"), "no day", f"name some of {', '.join(WEEKDAYS)}")
    if not _at.fullmatch(when.at):
        problems.add(at("at"), f"{shown(when.at)} is not a time of day", 'write hours and minutes: "02:00"')
    if not MIN_WEEKLY_S <= when.duration_s <= MAX_WEEKLY_S:
        bounds = f"{format_duration(MIN_WEEKLY_S)} and {format_duration(MAX_WEEKLY_S)}"
        problems.add(at("duration"), f"{format_duration(when.duration_s)} is not within {bounds}", "choose a time between them")
    try:
        zone(when.time_zone)
    except ValueError:
        problems.take(_unknown_zone(at("time_zone"), when.time_zone))


def _unknown_zone(place: Place, name: str) -> ConfigError:
    return ConfigError(
        str(place),
        f"{shown(name)} is not a time zone that this host knows",
        'write one as "Europe/Berlin", or install tzdata if it is',
    )
