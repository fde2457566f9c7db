"""[security] and the TLS of [server]: whose word is taken, and who may do what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from meshkit_fastprobe.access import LOCAL, ROLES, Binding, Permission, Scope, SecuritySettings, TokenSettings
from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion
from meshkit_fastprobe.config.shapes import (
    MAX_BINDINGS,
    MAX_REQUEST_RATE,
    MIN_REQUEST_RATE,
    BindingKeys,
    SecurityKeys,
    TokenKeys,
)
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.model import MAX_NAME_LENGTH, TlsSettings

At = Callable[[str], Place]

_AXES: Final = tuple(field.name for field in msgspec.structs.fields(Scope))
_SUBJECTS: Final = 'write "user:NAME" (globs allowed), "group:NAME" or "local"'


def read_security(place: Place, raw: object, folder: Path, problems: Problems) -> SecuritySettings:
    """SecuritySettings from their table; relative paths begin at `folder`."""
    written: list[object] = []
    if isinstance(raw, Mapping):
        bindings = raw.get("binding", [])
        if isinstance(bindings, list):
            written = bindings
        else:
            problems.add(
                place.at("binding"), f"{shown(bindings)} is not a list of tables", "write [[security.binding]], two brackets"
            )
        tokens = raw.get("tokens")
        raw = {key: value for key, value in raw.items() if key not in {"binding", "tokens"}}
    else:
        tokens = None
    fields: dict[str, Any] = read_table(place, raw, SecurityKeys, problems)
    if tokens is not None:
        read = read_table(place.at("tokens"), tokens, TokenKeys, problems)
        if {"jwks_file", "issuer", "audience"} <= read.keys():
            fields["tokens"] = TokenSettings(**{**read, "jwks_file": str(folder / read["jwks_file"])})
    fields["bindings"] = tuple(
        _binding(place.at("binding", index), table, problems) for index, table in enumerate(written[: MAX_BINDINGS + 1])
    )
    return SecuritySettings(**fields)


def _binding(place: Place, raw: object, problems: Problems) -> Binding:
    read = read_table(place, raw, BindingKeys, problems)
    names = read.get("permissions", ())
    known = [Permission(name) for name in names if name in set(Permission)]
    for index, name in enumerate(names):
        if name not in set(Permission):
            problems.add(place.at("permissions", index), f"{shown(name)} is not a permission", suggestion(name, Permission))
    return Binding(
        subject=read.get("subject", LOCAL),
        role=read.get("role", ""),
        permissions=tuple(known),
        scope=Scope(**{axis: read[axis] for axis in _AXES if axis in read}),
        deny=read.get("deny", False),
    )


def check_security(security: SecuritySettings, at: At, problems: Problems) -> None:
    """Refuse what cannot be."""
    _check_role(security.local_role, at("security.local_role"), problems)
    rate = security.max_rate
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not MIN_REQUEST_RATE <= rate <= MAX_REQUEST_RATE:
        bounds = f"{MIN_REQUEST_RATE}..{MAX_REQUEST_RATE}"
        problems.add(at("security.max_rate"), f"{shown(rate)} is not in {bounds}", "choose requests a second between them")
    if security.tokens is not None:
        for key, text in msgspec.structs.asdict(security.tokens).items():
            if not text or "\0" in text:
                problems.add(
                    at(f"security.tokens.{key}"), f"{shown(text)} says nothing", "write what the issuer of tokens uses"
                )
    if len(security.bindings) > MAX_BINDINGS:
        problems.add(at("security.binding"), f"more than {MAX_BINDINGS} bindings", "bind groups instead of single users")
    for index, binding in enumerate(security.bindings):
        _check_binding(binding, at("security.binding").at(index), problems)


def _check_binding(binding: Binding, place: Place, problems: Problems) -> None:
    kind, _, name = binding.subject.partition(":")
    if binding.subject != LOCAL and not (kind in {"user", "group"} and name and name.isprintable()):
        problems.add(place.at("subject"), f"{shown(binding.subject)} is nobody", _SUBJECTS)
    _check_role(binding.role, place.at("role"), problems)
    if not binding.role and not binding.permissions:
        problems.add(place, "the binding gives nothing", "add role = ... or permissions = [...]")
    for axis in _AXES:
        glob = getattr(binding.scope, axis)
        if not glob or len(glob) > MAX_NAME_LENGTH or not glob.isprintable():
            fix = f'write a glob of 1 to {MAX_NAME_LENGTH} printable characters; "*" is everywhere'
            problems.add(place.at(axis), f"{shown(glob)} matches nothing", fix)


def _check_role(role: str, place: Place, problems: Problems) -> None:
    if role and role not in ROLES:
        problems.add(place, f"{shown(role)} is not a role", suggestion(role, ROLES) or f"known: {', '.join(ROLES)}")


def check_tls(tls: TlsSettings | None, at: At, problems: Problems) -> None:
    """Refuse what cannot be; the files themselves are read when the server starts."""
    if tls is None:
        return
    for key, path in msgspec.structs.asdict(tls).items():
        if path is not None and (not path or "\0" in path):
            problems.add(at(f"server.tls.{key}"), f"{shown(path)} is not a file", "name a file in PEM")
    if tls.client_crl is not None and tls.client_ca is None:
        problems.add(at("server.tls.client_crl"), "revokes certificates that nobody takes", "add client_ca, or remove it")
