"""[audit]: how long records are kept here, and where else each of them is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from meshkit_fastprobe.access import AuditSettings
from meshkit_fastprobe.config.addresses import split_host_port
from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.config.places import Place, Problems, shown
from meshkit_fastprobe.config.shapes import MAX_COPIES, MAX_RECORDS, MIN_RECORDS, AuditKeys
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.errors import ConfigError

At = Callable[[str], Place]

KEEP_S: Final = (3600.0, 100 * 365 * 86_400.0)
FILE, UNIX, UDP = "file:", "syslog:", "syslog:udp:"
_FORMS: Final = 'write "file:/path", "syslog:/dev/log" or "syslog:udp:HOST:PORT"'


def read_audit(place: Place, raw: object, folder: Path, problems: Problems) -> AuditSettings:
    """AuditSettings from their table; relative paths begin at `folder`."""
    fields: dict[str, Any] = read_table(place, raw, AuditKeys, problems)
    if "keep" in fields:
        try:
            fields["keep_s"] = parse_duration(place.at("keep"), fields.pop("keep"))
        except ConfigError as error:
            problems.take(error)
            fields.pop("keep", None)
    copies = fields.get("copy_to", ())
    fields["copy_to"] = tuple(f"{FILE}{folder / text.removeprefix(FILE)}" if text.startswith(FILE) else text for text in copies)
    return AuditSettings(**fields)


def check_audit(audit: AuditSettings, at: At, problems: Problems) -> None:
    """Refuse what cannot be."""
    lowest_s, highest_s = KEEP_S
    if audit.keep_s is not None and not lowest_s <= audit.keep_s <= highest_s:
        bounds = f"{format_duration(lowest_s)} and {format_duration(highest_s)}"
        problems.add(at("audit.keep"), f"{format_duration(audit.keep_s)} is not within {bounds}", "choose a time between them")
    if audit.max_records is not None and not MIN_RECORDS <= audit.max_records <= MAX_RECORDS:
        what = f"{shown(audit.max_records)} is not in {MIN_RECORDS}..{MAX_RECORDS}"
        problems.add(at("audit.max_records"), what, "choose a whole number between them")
    if len(audit.copy_to) > MAX_COPIES:
        problems.add(at("audit.copy_to"), f"more than {MAX_COPIES} copies", "name fewer")
    if audit.copy_needed and not audit.copy_to:
        problems.add(at("audit.copy_needed"), "no copy is asked for", "add copy_to, or remove it")
    for index, text in enumerate(audit.copy_to):
        _check_copy(at("audit.copy_to").at(index), text, problems)


def _check_copy(place: Place, text: str, problems: Problems) -> None:
    if text.startswith(UDP):
        try:
            split_host_port(str(place), text.removeprefix(UDP))
        except ConfigError as error:
            problems.take(error)
        return
    path = text.removeprefix(FILE if text.startswith(FILE) else UNIX)
    if path == text or not path.startswith("/") or "\0" in path:
        problems.add(place, f"{shown(text)} is no place for records", _FORMS)
