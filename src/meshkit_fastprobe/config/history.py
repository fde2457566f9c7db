"""[history]: how much is kept of the past, and how large that may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.config.places import Place, Problems, shown
from meshkit_fastprobe.config.shapes import MAX_HISTORY_BYTES, MIN_HISTORY_BYTES, HistoryKeys
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import HistorySettings

KEEP_S: Final = (86_400.0, 400 * 86_400.0)


def read_history(place: Place, raw: object, problems: Problems, *, has_place: bool) -> HistorySettings:
    """HistorySettings from their table. has_place: there is a state_dir."""
    fields: dict[str, Any] = read_table(place, raw, HistoryKeys, problems)
    if fields.get("enabled") and not has_place:
        problems.add(place.at("enabled"), "there is no place for it", "add [host] state_dir, or remove it")
    if "keep" in fields:
        try:
            fields["keep_s"] = parse_duration(place.at("keep"), fields.pop("keep"))
        except ConfigError as error:
            problems.take(error)
            fields.pop("keep", None)
    return HistorySettings(**fields)


def check_history(history: HistorySettings, at: Callable[[str], Place], problems: Problems) -> None:
    """Refuse what cannot be."""
    lowest_s, highest_s = KEEP_S
    if not isinstance(history.keep_s, int | float) or not lowest_s <= history.keep_s <= highest_s:
        bounds = f"{format_duration(lowest_s)} and {format_duration(highest_s)}"
        text = format_duration(history.keep_s) if isinstance(history.keep_s, int | float) else shown(history.keep_s)
        problems.add(at("history.keep"), f"{text} is not within {bounds}", "choose a time between them")
    if not isinstance(history.max_bytes, int) or not MIN_HISTORY_BYTES <= history.max_bytes <= MAX_HISTORY_BYTES:
        what = f"{shown(history.max_bytes)} is not in {MIN_HISTORY_BYTES}..{MAX_HISTORY_BYTES}"
        problems.add(at("history.max_bytes"), what, "choose a whole number of bytes between them")
