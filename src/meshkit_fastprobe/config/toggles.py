"""[toggles]: what cannot be switched on at the endpoints, whatever was stored there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion

CALLABLE: Final = "callable"
"""The kind of probes that are functions: no file names it, and it can be switched off like the others."""
LOG_LEVEL: Final = "log.level"
TRACE_SAMPLING: Final = "trace.sampling"
SAMPLING_RATES: Final = ("0", "0.0001", "0.001", "0.01", "0.1", "1")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

CHOICES: Final = {LOG_LEVEL: LOG_LEVELS, TRACE_SAMPLING: SAMPLING_RATES}
"""Toggles that are no switches."""


def read_toggles(
    place: Place, raw: object, kinds: Iterable[str], faults: Iterable[str], problems: Problems
) -> dict[str, bool | str]:
    """Ceilings by name; `probes.exec.enabled = false` and `"probes.exec.enabled" = false` say the same."""
    if not isinstance(raw, Mapping):
        problems.add(place, f"{shown(raw)} is not a table", "write [toggles] and its keys below")
        return {}
    known = [
        *CHOICES,
        "probes.enabled",
        *(f"probes.{kind}.enabled" for kind in (*kinds, CALLABLE)),
        "chaos.enabled",
        "chaos.incident",
        *(f"chaos.{fault}.enabled" for fault in faults),
    ]
    ceilings: dict[str, bool | str] = {}
    for keys, value in _flat((), raw):
        name = ".".join(keys)
        if name not in known:
            problems.add(place.at(*keys), f"{shown(name)} is not a toggle", suggestion(name, known))
        elif name in CHOICES and value not in CHOICES[name]:
            what = "a level" if name == LOG_LEVEL else "a share, written as text"
            problems.add(place.at(*keys), f"{shown(value)} is not {what}", f"one of: {', '.join(CHOICES[name])}")
        elif name not in CHOICES and not isinstance(value, bool):
            problems.add(place.at(*keys), f"{shown(value)} has the wrong type", "write true or false")
        else:
            ceilings[name] = value
    return ceilings


def _flat(above: tuple[str, ...], table: Mapping[str, Any]) -> Iterable[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat((*above, key), value)
        else:
            yield (*above, key), value
