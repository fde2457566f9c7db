"""Who may do what, as people write it down: permissions, roles, bindings, and where identities come from.

Values only, for settings of every layer; security/ decides with them. The four grants of the mesh that callers may know map
onto roles: mesh.read and mesh.observe are viewer, mesh.operate is operator, mesh.admin is admin. Nothing maps onto chaos roles:
those are given by name or not at all.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Permission(StrEnum):
    PROBES_READ = "probes.read"
    PROBES_RUN = "probes.run"
    PROBES_WRITE = "probes.write"
    TELEMETRY_READ = "telemetry.read"
    CHAOS_READ = "chaos.read"
    CHAOS_PREPARE = "chaos.prepare"
    CHAOS_ACTIVATE = "chaos.activate"
    CHAOS_ANY_TARGET = "chaos.any-target"
    CHAOS_APPROVE = "chaos.approve"
    CHAOS_STOP = "chaos.stop"
    CHAOS_HALT = "chaos.halt"
    CHAOS_RESUME = "chaos.resume"
    AUDIT_READ = "audit.read"
    TOGGLES_READ = "toggles.read"
    TOGGLES_WRITE = "toggles.write"


_READING: Final = frozenset({Permission.PROBES_READ, Permission.TELEMETRY_READ, Permission.CHAOS_READ, Permission.TOGGLES_READ})
# Stopping is always easier than starting: whoever may act at all may stop and halt.
_STOPPING: Final = frozenset({Permission.CHAOS_STOP, Permission.CHAOS_HALT})
_OPERATING: Final = _READING | _STOPPING | {Permission.PROBES_RUN, Permission.PROBES_WRITE}

ROLES: Final[dict[str, frozenset[Permission]]] = {
    "viewer": _READING,
    "operator": _OPERATING,
    "chaos-operator": _READING | _STOPPING | {Permission.PROBES_RUN, Permission.CHAOS_PREPARE, Permission.CHAOS_ACTIVATE},
    "chaos-approver": _READING | _STOPPING | {Permission.CHAOS_APPROVE, Permission.CHAOS_RESUME},
    # All but the bare `*` as a chaos target: that is granted by name, by somebody who means it.
    "admin": frozenset(Permission) - {Permission.CHAOS_ANY_TARGET},
}

MESH_GRANTS: Final = {"mesh.read": "viewer", "mesh.observe": "viewer", "mesh.operate": "operator", "mesh.admin": "admin"}

ANYWHERE: Final = "*"
LOCAL: Final = "local"
"""The subject of bindings for whoever proves to be this host's own user: by its token file, or over its unix socket."""


class Scope(msgspec.Struct, frozen=True):
    """Where a binding holds: a glob for each axis, all of which have to match. `*` matches an empty axis too."""

    host: str = ANYWHERE
    cluster: str = ANYWHERE
    namespace: str = ANYWHERE
    probe: str = ANYWHERE
    fault: str = ANYWHERE


class Binding(msgspec.Struct, frozen=True):
    """Gives a role, or permissions, to `user:GLOB`, `group:NAME` or `local` within a scope; with deny, takes them away."""

    subject: str
    role: str = ""
    permissions: tuple[Permission, ...] = ()
    scope: Scope = Scope()
    deny: bool = False

    def grants(self) -> frozenset[Permission]:
        """KeyError for a role that does not exist."""
        return (ROLES[self.role] if self.role else frozenset()) | frozenset(self.permissions)


class TokenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose bearer tokens are taken. groups_claim: where the issuer lists groups."""

    jwks_file: str
    issuer: str
    audience: str
    groups_claim: str = "groups"


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long records are kept here, and where else each is told. None keeps all.

    copy_to: "file:/path" (JSON lines), "syslog:/dev/log", "syslog:udp:HOST:PORT". copy_needed: what starts harm or widens
    rights is refused while a copy takes nothing; otherwise that is counted and logged.
    """

    keep_s: float | None = None
    max_records: int | None = None
    copy_to: tuple[str, ...] = ()
    copy_needed: bool = False


class SecuritySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask for what. The host's own user has `local_role`, everywhere; "" gives it nothing beyond its bindings.

    max_rate: requests a second of one principal, in the long run; twice as many may come at once.
    """

    tokens: TokenSettings | None = None
    bindings: tuple[Binding, ...] = ()
    local_role: str = "admin"
    max_rate: float = 500.0

    def all_bindings(self) -> tuple[Binding, ...]:
        return (Binding(LOCAL, self.local_role), *self.bindings) if self.local_role else self.bindings
