"""[host], [server] and [engine]: the Settings of a Diagnostics, and the bounds they keep."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from meshkit_fastprobe.access import SecuritySettings
from meshkit_fastprobe.config.addresses import is_loopback, split_host_port
from meshkit_fastprobe.config.audit import check_audit, read_audit
from meshkit_fastprobe.config.budgets import check_budgets, read_budgets
from meshkit_fastprobe.config.chaos import check_chaos, read_chaos
from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.config.history import check_history, read_history
from meshkit_fastprobe.config.options import check_text
from meshkit_fastprobe.config.peers import check_peers
from meshkit_fastprobe.config.places import Place, Problems, Source, shown
from meshkit_fastprobe.config.security import check_security, check_tls, read_security
from meshkit_fastprobe.config.shapes import MAX_SERVER_NAMES, PREFIX_PATTERN, EngineKeys, HostKeys, ServerKeys
from meshkit_fastprobe.config.spec import Faults
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.config.telemetry import check_otlp, read_telemetry
from meshkit_fastprobe.config.toggles import read_toggles
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.experiments import ChaosSettings
from meshkit_fastprobe.model import ServerSettings, Settings, TlsSettings

COUNTS: Final = {
    "max_probes": (1, 16_777_216),
    "max_connections": (1, 1_000_000),
    "max_task_runs": (1, 100_000),
    "max_thread_runs": (1, 1000),
    "nice": (0, 19),
}
MAX_DRAIN_S: Final = 300.0
VISITORS: Final = (1, 100_000)
"""Bounds of [server] max_connections."""
TIMES_S: Final = {
    "notify": (0.0, 1.0),
    "dns_ttl": (1.0, 86_400.0),
    "first_run_window": (0.0, 86_400.0),
    "window_frame": (0.1, 60.0),
}
"""Keys of [engine] in seconds; the field of Settings has _s at its end."""

MAX_LISTEN_PATH: Final = 90
"""Bytes; the server makes a unix socket under a longer name first."""

At = Callable[[str], Place]
"""Where a field of Settings was written."""

_prefix = re.compile(PREFIX_PATTERN)


def check_settings(settings: Settings) -> None:
    """Refuse Settings that an embedder wrote and that cannot be."""
    problems = Problems()
    root = Place(source=Source("Settings"))
    _check(settings, lambda field: root.at(*field.split(".")), problems)
    problems.refuse()


def fixed_part(settings: Settings) -> Settings:
    """What a running host cannot change."""
    security = msgspec.structs.replace(SecuritySettings(), tokens=settings.security.tokens)
    chaos = settings.chaos and ChaosSettings(proxies=settings.chaos.proxies)
    return msgspec.structs.replace(settings, security=security, chaos=chaos)


def read_settings(
    place: Place, data: Mapping[str, Any], folder: Path, problems: Problems, kinds: Iterable[str], faults: Faults | None
) -> Settings:
    """Settings from the tables of a file; relative paths begin at `folder`."""
    fields: dict[str, Any] = {"host": socket.gethostname() or "localhost", "server": None}
    host = read_table(place.at("host"), data.get("host", {}), HostKeys, problems)
    if "name" in host:
        fields["host"] = host["name"]
    if "cluster" in host:
        fields["cluster"] = host["cluster"]
    if "state_dir" in host:
        fields["state_dir"] = str(folder / host["state_dir"]) if host["state_dir"] else ""
    if "server" in data:
        fields["server"] = _server(place.at("server"), data["server"], folder, problems)
    if "security" in data:
        fields["security"] = read_security(place.at("security"), data["security"], folder, problems)
    if "telemetry" in data:
        fields["otlp"] = read_telemetry(place.at("telemetry"), data["telemetry"], folder, problems)
    fields |= _kept(place, data, folder, problems, has_place=bool(fields.get("state_dir")))
    if "toggles" in data:
        fields["toggles"] = read_toggles(place.at("toggles"), data["toggles"], kinds, faults or (), problems)
    if faults is not None:
        fields["chaos"] = read_chaos(place.at("chaos"), data["chaos"], faults, problems)
    fields |= _engine(place.at("engine"), data.get("engine", {}), problems)
    if "budgets" in data:
        fields["budgets"] = read_budgets(place.at("budgets"), data["budgets"], problems)
    settings = Settings(**fields)
    _check(settings, lambda field: _written(place, field), problems)
    return settings


def _kept(place: Place, data: Mapping[str, Any], folder: Path, problems: Problems, *, has_place: bool) -> dict[str, Any]:
    """What goes to the disk. has_place: there is a state_dir."""
    fields: dict[str, Any] = {}
    if "audit" in data:
        fields["audit"] = read_audit(place.at("audit"), data["audit"], folder, problems)
    if "history" in data:
        fields["history"] = read_history(place.at("history"), data["history"], problems, has_place=has_place)
    return fields


def _engine(place: Place, raw: object, problems: Problems) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in read_table(place, raw, EngineKeys, problems).items():
        if key not in TIMES_S:
            fields[key] = value
            continue
        try:
            fields[f"{key}_s"] = parse_duration(place.at(key), value)
        except ConfigError as error:
            problems.take(error)
    return fields


def _server(place: Place, raw: object, folder: Path, problems: Problems) -> ServerSettings:
    fields = read_table(place, raw, ServerKeys, problems)
    tls = fields.pop("tls", None)
    if tls is not None:
        files = {key: path and str(folder / path) for key, path in msgspec.to_builtins(tls).items()}
        fields["tls"] = TlsSettings(**files)
    if "drain" in fields:
        try:
            fields["drain_s"] = parse_duration(place.at("drain"), fields.pop("drain"))
        except ConfigError as error:
            problems.take(error)
    if fields.get("peers_ca"):
        fields["peers_ca"] = str(folder / fields["peers_ca"])
    return ServerSettings(**fields)


def _written(place: Place, field: str) -> Place:
    """The key in the file that a field of Settings came from."""
    if field.startswith("otlp."):
        return place.at("telemetry", *field.split("."))
    if "." in field:
        return place.at(*field.split("."))
    if field in {"host", "cluster", "state_dir"}:
        return place.at("host", "name" if field == "host" else field)
    return place.at("engine", field.removesuffix("_s"))


def _check(settings: Settings, at: At, problems: Problems) -> None:
    for field, text in (("host", settings.host), ("cluster", settings.cluster)):
        try:
            check_text(at(field), text, empty=field == "cluster")
        except ConfigError as error:
            problems.take(error)
    if settings.state_dir is not None and (not settings.state_dir or "\0" in settings.state_dir):
        problems.add(at("state_dir"), f"{shown(settings.state_dir)} is not a directory", "name one, or remove the key")
    if settings.server is not None:
        _check_server(settings.server, at, problems)
    check_security(settings.security, at, problems)
    check_audit(settings.audit, at, problems)
    check_history(settings.history, at, problems)
    check_otlp(settings.otlp, at, problems)
    _check_chaos(settings, at, problems)
    check_budgets(settings.budgets, at, problems)
    _check_bounds(settings, at, problems)
    if settings.engine not in {"thread", "inline"}:
        problems.add(at("engine"), f"{shown(settings.engine)} is not a way to run the engine", 'write "thread" or "inline"')


def _check_chaos(settings: Settings, at: At, problems: Problems) -> None:
    if settings.chaos is None:
        return
    check_chaos(settings.chaos, at, problems)
    if settings.server is None:
        problems.add(at("chaos.experiments"), "experiments without endpoints: nobody could stop them", "add [server]")
    elif settings.chaos.max_concurrent_fleet is not None and not settings.server.peers:
        what = "a budget of the fleet, and no other host is known"
        problems.add(at("chaos.max_concurrent_fleet"), what, "name them in [server] peers, or remove the key")


def _check_bounds(settings: Settings, at: At, problems: Problems) -> None:
    for field, (lowest, highest) in COUNTS.items():
        count = getattr(settings, field)
        if not isinstance(count, int) or not lowest <= count <= highest:
            problems.add(at(field), f"{shown(count)} is not in {lowest}..{highest}", "choose a whole number between them")
    for key, (lowest_s, highest_s) in TIMES_S.items():
        seconds = getattr(settings, f"{key}_s")
        if not isinstance(seconds, int | float) or not lowest_s <= seconds <= highest_s:
            bounds = f"{format_duration(lowest_s)} and {format_duration(highest_s)}"
            text = format_duration(seconds) if isinstance(seconds, int | float) else shown(seconds)
            problems.add(at(f"{key}_s"), f"{text} is not within {bounds}", "choose a time between them")


def _check_server(server: ServerSettings, at: At, problems: Problems) -> None:
    try:
        if server.listen.startswith("unix:"):
            _check_unix(at("server.listen"), server.listen.removeprefix("unix:"))
            host = "localhost"
        else:
            host, _ = split_host_port(str(at("server.listen")), server.listen, lowest_port=0)
    except ConfigError as error:
        problems.take(error)
    else:
        if server.tls is None and not is_loopback(host):
            problems.add(
                at("server.listen"),
                f"{shown(host)} can be reached from other hosts, and there is no TLS",
                'use 127.0.0.1, [::1] or unix:/path, or add tls = { cert = "...", key = "..." }',
            )
    check_tls(server.tls, at, problems)
    _check_names(server.hosts, at("server.hosts"), problems)
    check_peers(server, at, problems)
    lowest, highest = VISITORS
    if not isinstance(server.max_connections, int) or not lowest <= server.max_connections <= highest:
        problem = f"{shown(server.max_connections)} is not in {lowest}..{highest}"
        problems.add(at("server.max_connections"), problem, "choose a whole number between them")
    if not 0.0 <= server.drain_s <= MAX_DRAIN_S:
        what = f"{format_duration(server.drain_s)} is not within 0s and {format_duration(MAX_DRAIN_S)}"
        problems.add(at("server.drain"), what, "choose a time between them")
    if not _prefix.fullmatch(server.prefix):
        problems.add(
            at("server.prefix"),
            f"{shown(server.prefix)} is not a path",
            "write as /meshkit/diagnostics/v1, without a slash at its end",
        )


def _check_names(names: tuple[str, ...], place: Place, problems: Problems) -> None:
    if len(names) > MAX_SERVER_NAMES:
        problems.add(place, f"{len(names)} names; the bound is {MAX_SERVER_NAMES}", "name fewer")
    for index, name in enumerate(names):
        if not name or any(character in " /@?#" or not character.isprintable() for character in name):
            problems.add(place.at(index), f"{shown(name)} is not the name of a host", "write it without scheme and port")


def _check_unix(place: Place, path: str) -> None:
    size = len(path.encode(errors="surrogatepass"))
    if not path or "\0" in path or size > MAX_LISTEN_PATH:
        raise ConfigError(
            str(place), f"{shown(path)} is not a path of 1 to {MAX_LISTEN_PATH} bytes", "write unix:/run/fastprobe.sock"
        )
