"""A loaded configuration as plain values again: every default filled in, every target expanded, secrets left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from meshkit_fastprobe.access import ANYWHERE, AuditSettings, Binding, SecuritySettings
from meshkit_fastprobe.config.chaos import COUNTS as CHAOS_COUNTS
from meshkit_fastprobe.config.chaos import TIMES_S as CHAOS_TIMES_S
from meshkit_fastprobe.config.durations import format_duration
from meshkit_fastprobe.config.settings import COUNTS, TIMES_S
from meshkit_fastprobe.config.spec import Config, ProbeSpec
from meshkit_fastprobe.experiments import Blackout, ChaosSettings, Experiment, parameters_of
from meshkit_fastprobe.model import Budget, Budgets, HistorySettings, Maintenance, OtlpSettings, ProbeOptions, Settings
from meshkit_fastprobe.when import Once, Weekly

REDACTED: Final = "<redacted>"

_secret = re.compile(r"auth|cookie|token|secret|key|passw|session|credential|signature", re.IGNORECASE)


def effective(config: Config, name: str = "*") -> dict[str, Any]:
    """What a file that said everything itself would hold, with the probes whose name matches a pattern.

    Loading it gives the same probes, but for values of headers that look like secrets: they read REDACTED.
    """
    windows = {"maintenance": [_window(window) for window in config.maintenance]} if config.maintenance else {}
    return {
        **_settings(config.settings),
        **windows,
        "probe": [_probe(spec) for spec in config.probes if fnmatchcase(spec.name, name)],
    }


def _settings(settings: Settings) -> dict[str, Any]:
    host = {"name": settings.host, "cluster": settings.cluster, "state_dir": settings.state_dir}
    tables: dict[str, Any] = {"host": {key: value for key, value in host.items() if value}}
    if settings.server is not None:
        server = _without_none(msgspec.to_builtins(settings.server))
        tables["server"] = {"drain": format_duration(server.pop("drain_s")), **server}
    if settings.audit != AuditSettings():
        tables["audit"] = _audit(settings.audit)
    if settings.history != HistorySettings():
        history = msgspec.to_builtins(settings.history)
        tables["history"] = {"keep": format_duration(history.pop("keep_s")), **history}
    if settings.otlp is not None:
        tables["telemetry"] = {"otlp": _otlp(settings.otlp)}
    if settings.security != SecuritySettings():
        tables["security"] = _security(settings.security)
    if settings.chaos is not None:
        tables["chaos"] = _chaos(settings.chaos)
    if settings.toggles:
        tables["toggles"] = dict(settings.toggles)
    tables["engine"] = {key: getattr(settings, key) for key in COUNTS}
    tables["engine"] |= {key: format_duration(getattr(settings, f"{key}_s")) for key in TIMES_S}
    if settings.budgets != Budgets():
        tables["budgets"] = _budgets(settings.budgets)
    return tables


def _audit(audit: AuditSettings) -> dict[str, Any]:
    told = _without_none(msgspec.to_builtins(audit))
    keep_s = told.pop("keep_s", None)
    return told | ({} if keep_s is None else {"keep": format_duration(keep_s)})


def _otlp(otlp: OtlpSettings) -> dict[str, Any]:
    told = _without_none(msgspec.to_builtins(otlp))
    told["interval"] = format_duration(told.pop("interval_s"))
    return told | {"headers": dict.fromkeys(told["headers"], REDACTED)}


def _security(security: SecuritySettings) -> dict[str, Any]:
    told = _without_none(msgspec.to_builtins(security))
    told["binding"] = [_binding(binding) for binding in security.bindings]
    del told["bindings"]
    return told


def _binding(binding: Binding) -> dict[str, Any]:
    scope = {axis: glob for axis, glob in msgspec.structs.asdict(binding.scope).items() if glob != ANYWHERE}
    told = {"subject": binding.subject, "role": binding.role, "permissions": [*map(str, binding.permissions)], **scope}
    return {key: value for key, value in told.items() if value} | ({"deny": True} if binding.deny else {})


def _chaos(chaos: ChaosSettings) -> dict[str, Any]:
    told: dict[str, Any] = {key: getattr(chaos, key) for key in (*CHAOS_COUNTS, "healthy_floor", "two_person")}
    told |= {key: format_duration(getattr(chaos, f"{key}_s")) for key in CHAOS_TIMES_S}
    told |= {"protected": list(chaos.protected)} if chaos.protected else {}
    told |= {"blackout": [_blackout(one) for one in chaos.blackouts]} if chaos.blackouts else {}
    told |= {"proxy": [msgspec.structs.asdict(one) for one in chaos.proxies]} if chaos.proxies else {}
    return told | ({"experiment": [_experiment(one) for one in chaos.experiments]} if chaos.experiments else {})


def _experiment(experiment: Experiment) -> dict[str, Any]:
    told: dict[str, Any] = {"id": experiment.id, "fault": experiment.fault.kind, **_told(parameters_of(experiment.fault))}
    told |= {"duration": format_duration(experiment.duration_s), "recovery": format_duration(experiment.recovery_s)}
    for key in ("steady_state", "affects"):
        selector = getattr(experiment, key)
        if selector is not None:
            plain = {name: value for name, value in msgspec.structs.asdict(selector).items() if value not in (None, ())}
            told[key] = plain | ({"labels": dict(selector.labels)} if selector.labels else {})
    return told | {key: getattr(experiment, key) for key in ("two_person", "says") if getattr(experiment, key)}


def _blackout(blackout: Blackout) -> dict[str, Any]:
    return {"reason": blackout.reason} | _when(blackout.when)


def _without_none(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _without_none(part) if isinstance(part, Mapping) else part for key, part in value.items() if part is not None}


def _budgets(budgets: Budgets) -> dict[str, Any]:
    groups = {name: _budget(budget) for name, budget in budgets.groups.items()}
    return {"by": budgets.by, "each": _budget(budgets.each)} | ({"groups": groups} if groups else {})


def _budget(budget: Budget) -> dict[str, Any]:
    return {key: value for key, value in msgspec.structs.asdict(budget).items() if value is not None}


def _window(window: Maintenance) -> dict[str, Any]:
    told = {"reason": window.reason} | _when(window.when)
    scope = {key: getattr(window, key) for key in ("name", "cluster", "namespace")}
    told |= {key: value for key, value in scope.items() if value is not None}
    return told | ({"labels": dict(window.labels)} if window.labels else {})


def _when(when: Once | Weekly) -> dict[str, Any]:
    told = msgspec.structs.asdict(when)
    if isinstance(when, Weekly):
        duration = format_duration(told.pop("duration_s"))
        return told | {"days": list(when.days), "duration": duration}
    return {"start": when.start.isoformat(), "end": when.end.isoformat()}


def _probe(spec: ProbeSpec) -> dict[str, Any]:
    own = _told(msgspec.to_builtins(spec.probe))
    return {"name": spec.name, "kind": spec.probe.kind, **own, **_options(spec.options)}


def _options(options: ProbeOptions) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for field, value in msgspec.structs.asdict(options).items():
        if field.endswith("_s"):
            if value:
                shown[field.removesuffix("_s")] = format_duration(value)
        elif field == "labels":
            shown |= {"labels": dict(value)} if value else {}
        elif value not in ((), ""):
            shown[field] = list(value) if isinstance(value, tuple) else value
    return shown


def _told(value: Mapping[str, Any], *, headers: bool = False) -> dict[str, Any]:
    """Without what is empty, which is the default of every key that can be, and without secrets."""
    told: dict[str, Any] = {}
    for key, part in value.items():
        if headers:
            told[key] = REDACTED if _secret.search(key) else part
        elif isinstance(part, Mapping) and part:
            told[key] = _told(part, headers=key == "headers")
        elif part not in ({}, (), [], ""):
            told[key] = part
    return told
