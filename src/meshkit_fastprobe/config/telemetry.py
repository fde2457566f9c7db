"""[telemetry.otlp]: what is told to a collector of OpenTelemetry, and where that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from meshkit_fastprobe.config.addresses import is_loopback
from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.config.places import Place, Problems, shown
from meshkit_fastprobe.config.shapes import MAX_OTLP_HEADER, MAX_OTLP_HEADERS, OtlpKeys, TelemetryKeys
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import OtlpSettings

INTERVAL_S: Final = (1.0, 3600.0)
_header = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def read_telemetry(place: Place, raw: object, folder: Path, problems: Problems) -> OtlpSettings | None:
    """None where nothing is exported; relative paths begin at `folder`."""
    table = read_table(place, raw, TelemetryKeys, problems)
    if "otlp" not in table or not isinstance(raw, Mapping):
        return None
    place = place.at("otlp")
    fields: dict[str, Any] = read_table(place, raw["otlp"], OtlpKeys, problems)
    if "interval" in fields:
        try:
            fields["interval_s"] = parse_duration(place.at("interval"), fields.pop("interval"))
        except ConfigError as error:
            problems.take(error)
            fields.pop("interval", None)
    if fields.get("ca_file"):
        fields["ca_file"] = str(folder / fields["ca_file"])
    return OtlpSettings(**fields)


def check_otlp(otlp: OtlpSettings | None, at: Callable[[str], Place], problems: Problems) -> None:
    """Refuse what cannot be."""
    if otlp is None:
        return
    lowest_s, highest_s = INTERVAL_S
    if not isinstance(otlp.interval_s, int | float) or not lowest_s <= otlp.interval_s <= highest_s:
        bounds = f"{format_duration(lowest_s)} and {format_duration(highest_s)}"
        text = format_duration(otlp.interval_s) if isinstance(otlp.interval_s, int | float) else shown(otlp.interval_s)
        problems.add(at("otlp.interval"), f"{text} is not within {bounds}", "choose a time between them")
    parts = _split(otlp.endpoint)
    if parts is None:
        problems.add(at("otlp.endpoint"), f"{shown(otlp.endpoint)} is no address", "write as http://127.0.0.1:4318")
    elif otlp.headers and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        problems.add(
            at("otlp.headers"), "they would cross the network for everybody to read", "use https, or a collector on this host"
        )
    _check_headers(otlp.headers, at("otlp.headers"), problems)


def _split(endpoint: str) -> SplitResult | None:
    """None for what is no URL of a collector."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return None
    plain = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment or parts.username)
    return parts if plain and endpoint.isascii() and endpoint.isprintable() and " " not in endpoint and port != 0 else None


def _check_headers(headers: Mapping[str, str], place: Place, problems: Problems) -> None:
    if len(headers) > MAX_OTLP_HEADERS:
        problems.add(place, f"{len(headers)} headers; the bound is {MAX_OTLP_HEADERS}", "send fewer")
    for name, value in headers.items():
        if not _header.fullmatch(name) or len(value) > MAX_OTLP_HEADER or not (value.isascii() and value.isprintable()):
            problems.add(place.at(name), "is no header", f"a name, and up to {MAX_OTLP_HEADER} printable ASCII characters")
