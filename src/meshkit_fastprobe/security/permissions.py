"""Permissions, and the roles that bundle them.

The four grants of the mesh that callers may know map onto roles: mesh.read and mesh.observe are viewer, mesh.operate is
operator, mesh.admin is admin. Nothing maps onto chaos roles: those are given by name or not at all.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


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
    "chaos-approver": _READING | _STOPPING | {Permission.CHAOS_APPROVE},
    # All but the bare `*` as a chaos target: that is granted by name, by somebody who means it.
    "admin": frozenset(Permission) - {Permission.CHAOS_ANY_TARGET},
}

MESH_GRANTS: Final = {"mesh.read": "viewer", "mesh.observe": "viewer", "mesh.operate": "operator", "mesh.admin": "admin"}
