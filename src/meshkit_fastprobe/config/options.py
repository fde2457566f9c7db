"""The options every probe has, from what people write to a ProbeOptions that holds together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.config.places import Place, Problems, Source, shown
from meshkit_fastprobe.config.shapes import (
    LABEL_KEY_PATTERN,
    MAX_DEPENDENCIES,
    MAX_LABEL_KEY_LENGTH,
    MAX_LABEL_VALUE_LENGTH,
    MAX_LABELS,
    OptionKeys,
)
from meshkit_fastprobe.config.tables import fields_of, read_table
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import MAX_INTERVAL_S, MAX_NAME_LENGTH, MAX_RISE_FALL, MIN_INTERVAL_S, ProbeOptions

MIN_TIMEOUT_S: Final = 0.001
"""One tick of the wheel that keeps the timeouts."""
MIN_DEGRADED_S: Final = 1e-6

OPTION_NAMES: Final = frozenset(fields_of(OptionKeys))
"""What no probe kind may call a field of its own."""
TAG_NAMES: Final = frozenset({"probe", "kind", "cluster", "namespace", "result", "le"})
"""Labels that the metrics put there themselves."""

BUILT_IN: Final = ProbeOptions()
_DURATIONS: Final = {
    "interval": (MIN_INTERVAL_S, MAX_INTERVAL_S, "raise it or probe fewer targets"),
    "timeout": (MIN_TIMEOUT_S, MAX_INTERVAL_S, "raise it"),
    "initial_delay": (0.0, MAX_INTERVAL_S, "raise it"),
    "jitter": (0.0, MAX_INTERVAL_S, "raise it"),
    "degraded_above": (MIN_DEGRADED_S, MAX_INTERVAL_S, "raise it, or leave it out to switch it off"),
    "unhealthy_interval": (MIN_INTERVAL_S, MAX_INTERVAL_S, "raise it"),
    "pending_interval": (MIN_INTERVAL_S, MAX_INTERVAL_S, "raise it"),
    "backoff": (MIN_INTERVAL_S, MAX_INTERVAL_S, "raise it, or leave it out to switch it off"),
    "passive_defers": (MIN_INTERVAL_S, MAX_INTERVAL_S, "raise it, or leave it out to switch it off"),
}
_label_key = re.compile(LABEL_KEY_PATTERN)


def probe_options(where: Place | str, defaults: ProbeOptions | None = None, /, **raw: Any) -> ProbeOptions:
    """Options as given over `defaults`, checked by themselves and against each other.

    Durations are seconds or text. What is not given comes from `defaults`; a timeout from there shrinks to fit.
    ConfigError, or ConfigErrors for several, names each key with its value, its bound and the fix.
    """
    try:
        return _remembered(defaults or BUILT_IN, **raw)
    except (ConfigError, TypeError):  # a mistake, or a list or dict that no cache can hold: said below, with its place
        pass
    problems = Problems()
    place = Place(source=Source(where)) if isinstance(where, str) else where
    options = read_options(place, defaults or BUILT_IN, raw, problems)
    problems.refuse()
    return options


@lru_cache(maxsize=1024, typed=True)
def _remembered(defaults: ProbeOptions, /, **raw: Any) -> ProbeOptions:
    """Probes added one by one mostly share their options: one object for all of them, and no second look at the same words."""
    problems = Problems()
    options = read_options(Place(), defaults, raw, problems)
    problems.refuse()
    return options


def read_options(place: Place, defaults: ProbeOptions, raw: Mapping[str, Any], problems: Problems) -> ProbeOptions:
    """As probe_options, with everything that is wrong put into `problems`; the answer then means nothing."""
    before = len(problems)
    given: dict[str, Any] = {}
    for key, value in read_table(place, raw, OptionKeys, problems).items():
        try:
            if key in _DURATIONS:
                given[f"{key}_s"] = _duration(place.at(key), value, *_DURATIONS[key])
            else:
                given[key] = _READERS[key](place.at(key), value)
        except ConfigError as error:
            problems.take(error)
    if len(problems) > before:
        return defaults
    if "labels" in given:
        given["labels"] = merge_labels(defaults.labels, given["labels"])
    options = msgspec.structs.replace(defaults, **given)
    if "timeout_s" not in given:
        options = msgspec.structs.replace(options, timeout_s=_fitting_timeout(options))
    _check_together(place, options, given, problems)
    return options


def check_text(place: Place | str, text: str, *, empty: bool = False) -> str:
    """A name, cluster or namespace: printable, of bounded length, without space around it."""
    if not text and not empty:
        raise ConfigError(str(place), "an empty name", "write at least one character")
    if len(text) > MAX_NAME_LENGTH:
        raise ConfigError(str(place), f"{shown(text)} has {len(text)} characters; the bound is {MAX_NAME_LENGTH}", "shorten it")
    if not text.isprintable():
        raise ConfigError(str(place), f"{shown(text)} holds characters that do not print", "use printable characters only")
    if text != text.strip():
        raise ConfigError(str(place), f"{shown(text)} begins or ends with a space", "remove the space")
    return text


def check_labels(place: Place, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels in the order of their keys, checked."""
    if len(labels) > MAX_LABELS:
        raise ConfigError(str(place), f"{len(labels)} labels; the bound is {MAX_LABELS}", "remove some")
    for key, value in labels.items():
        at = place.at(key)
        if not _label_key.fullmatch(key) or len(key) > MAX_LABEL_KEY_LENGTH:
            raise ConfigError(
                str(at),
                f"{shown(key)} is not a label name",
                f"use letters, digits and _, a letter or _ first, at most {MAX_LABEL_KEY_LENGTH} characters",
            )
        if key in TAG_NAMES or key.startswith("__"):
            raise ConfigError(
                str(at), f"the label name {shown(key)} is reserved", "choose another name, or use the option of this name"
            )
        if len(value) > MAX_LABEL_VALUE_LENGTH:
            raise ConfigError(
                str(at), f"{shown(value)} has {len(value)} characters; the bound is {MAX_LABEL_VALUE_LENGTH}", "shorten it"
            )
        if not value.isprintable():
            raise ConfigError(str(at), f"{shown(value)} holds characters that do not print", "use printable characters only")
    return tuple(sorted(labels.items()))


def merge_labels(below: tuple[tuple[str, str], ...], above: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Labels of both; where both have a key, the one above counts."""
    return tuple(sorted({**dict(below), **dict(above)}.items())) if below else above


def _duration(place: Place, value: float | str, lowest_s: float, highest_s: float, fix_low: str) -> float:
    seconds = parse_duration(place, value)
    if seconds < lowest_s:
        raise ConfigError(str(place), f"{shown(value)} is below the floor of {format_duration(lowest_s)}", fix_low)
    if seconds > highest_s:
        raise ConfigError(str(place), f"{shown(value)} is above the ceiling of {format_duration(highest_s)}", "lower it")
    return seconds


def _streak(place: Place, value: int) -> int:
    if not 1 <= value <= MAX_RISE_FALL:
        raise ConfigError(
            str(place), f"{value} is not in 1..{MAX_RISE_FALL}", "count consecutive results; 1 reacts to every one"
        )
    return value


def _dependencies(place: Place, names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > MAX_DEPENDENCIES:
        raise ConfigError(str(place), f"{len(names)} names; the bound is {MAX_DEPENDENCIES}", "depend on fewer probes")
    for index, name in enumerate(names):
        check_text(place.at(index), name)
        if name in names[:index]:
            raise ConfigError(str(place.at(index)), f"{shown(name)} is named twice", "name it once")
    return names


_READERS: Final[Mapping[str, Any]] = {
    "rise": _streak,
    "fall": _streak,
    "depends_on": _dependencies,
    "cluster": lambda place, text: check_text(place, text, empty=True),
    "namespace": lambda place, text: check_text(place, text, empty=True),
    "labels": check_labels,
    "flap_damping": lambda _, value: value,
    "enabled": lambda _, value: value,
}


def _fitting_timeout(options: ProbeOptions) -> float:
    intervals = (options.interval_s, options.unhealthy_interval_s, options.pending_interval_s)
    return min(options.timeout_s, *(interval for interval in intervals if interval is not None))


def _check_together(place: Place, options: ProbeOptions, given: Mapping[str, Any], problems: Problems) -> None:
    timeout, interval = _Span(options.timeout_s), _Span(options.interval_s)
    if options.timeout_s > options.interval_s:
        problems.add(place.at("timeout"), f"{timeout} is above the interval of {interval}", "lower timeout or raise interval")
    for key in ("unhealthy_interval", "pending_interval"):
        other_s = getattr(options, f"{key}_s")
        if other_s is not None and options.timeout_s > other_s:
            problems.add(
                place.at("timeout"),
                f"{timeout} is above the {key} of {format_duration(other_s)}",
                f"lower timeout or raise {key}",
            )
    _check_adaptive(place, options, given, problems)
    if options.jitter_s >= options.interval_s:
        problems.add(
            _blamed(place, given, "jitter"),
            f"a jitter of {format_duration(options.jitter_s)} is not below the interval of {interval}",
            "lower jitter or raise interval",
        )
    if options.degraded_above_s is not None and options.degraded_above_s >= options.timeout_s:
        problems.add(
            _blamed(place, given, "degraded_above"),
            f"a degraded_above of {format_duration(options.degraded_above_s)} is not below the timeout of {timeout}",
            "lower degraded_above or raise timeout",
        )


def _check_adaptive(place: Place, options: ProbeOptions, given: Mapping[str, Any], problems: Problems) -> None:
    pending_s, unhealthy_s = options.pending_interval_s, options.unhealthy_interval_s
    if pending_s is not None and pending_s > options.interval_s:
        problems.add(
            _blamed(place, given, "pending_interval"),
            f"a pending_interval of {format_duration(pending_s)} is above the interval of {_Span(options.interval_s)}",
            "lower it: it is for looking sooner",
        )
    base_s = options.interval_s if unhealthy_s is None else unhealthy_s
    if options.backoff_s is not None and options.backoff_s <= base_s:
        key = "interval" if unhealthy_s is None else "unhealthy_interval"
        problems.add(
            _blamed(place, given, "backoff"),
            f"a backoff of {format_duration(options.backoff_s)} is not above the {key} of {format_duration(base_s)}",
            "raise it: it is for looking less often",
        )


class _Span(float):
    """Seconds that a message shows as people write them."""

    def __format__(self, _: str) -> str:
        return format_duration(self)


def _blamed(place: Place, given: Mapping[str, Any], key: str) -> Place:
    """The key itself, or the table when the value came from the defaults."""
    return place.at(key) if f"{key}_s" in given else place
