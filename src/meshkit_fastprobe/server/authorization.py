"""May this principal do that? The one place where routes and gRPC methods ask; refusals are counted and audited.

What somebody may not read does not exist for them: the answer is the same as for a name that nobody uses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import Final

import numpy as np
import trio
from numpy.typing import NDArray

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.model import ProbeOptions
from meshkit_fastprobe.security.audit import Audit
from meshkit_fastprobe.security.audit_chain import Entry
from meshkit_fastprobe.security.denials import DENIED, Denials
from meshkit_fastprobe.security.gate import Gate
from meshkit_fastprobe.security.policy import Policy, Principal, Resource
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.problems import AUDIT_UNAVAILABLE, FORBIDDEN, UNKNOWN_EXPERIMENT, UNKNOWN_PROBE, Problem

DONE: Final = "allowed"
AT_A_STRETCH: Final = 1024
"""Decisions made before the event loop has its turn: a millisecond or two."""
_REMEMBERED: Final = 64


class Authorization:
    """Of one host."""

    def __init__(self, host: Host, gate: Gate, denials: Denials) -> None:
        self._host = host
        self._gate = gate
        self._denials = denials
        self._visible: dict[Principal, tuple[Policy, int, NDArray[np.bool_]]] = {}

    def over_host(self, principal: Principal, permission: Permission) -> None:
        """What concerns the whole host. Problem when it is not allowed."""
        settings = self._host.settings
        if not self._gate.allows(principal, permission, Resource(host=settings.host, cluster=settings.cluster)):
            raise self._refused(principal, permission, settings.host)

    def over_some(self, principal: Principal, permission: Permission) -> None:
        """A listing, which shows what may be seen. Problem when that cannot be anything."""
        if not self._gate.allows_anywhere(principal, permission):
            raise self._refused(principal, permission, "")

    def over_probe(self, principal: Principal, permission: Permission, name: str) -> None:
        """One probe. Problem when it does not exist, may not be seen, or may not be treated so."""
        registration = self._host.catalog.by_name.get(name)
        if registration is None:
            raise unknown_probe(name)
        resource = self._resource(name, registration.options)
        if self._gate.allows(principal, permission, resource):
            return
        refused = self._refused(principal, permission, name)
        seen = permission is not Permission.PROBES_READ and self._gate.allows(principal, Permission.PROBES_READ, resource)
        raise refused if seen else unknown_probe(name)

    def over_fault(self, principal: Principal, permission: Permission, name: str, resource: Resource | None) -> None:
        """One experiment, by what its fault may touch; None: there is none of this name. Problem as for a probe."""
        if resource is None:
            raise unknown_experiment(name)
        if self._gate.allows(principal, permission, resource):
            return
        refused = self._refused(principal, permission, name)
        seen = permission is not Permission.CHAOS_READ and self._gate.allows(principal, Permission.CHAOS_READ, resource)
        raise refused if seen else unknown_experiment(name)

    def may(self, principal: Principal, permission: Permission, resource: Resource) -> bool:
        """The bare answer, for listings and for what goes on for long."""
        return self._gate.policy.decide(principal, permission, resource).allowed

    def may_anywhere(self, principal: Principal, permission: Permission) -> bool:
        """Whether there may be something for which the answer is yes."""
        return self._gate.policy.holds_anywhere(principal, permission)

    def standing(self, principal: Principal) -> str:
        """What it may do now, as text that changes with any of its bindings: part of what a confirmation of chaos says."""
        return hashlib.sha256(repr(self._gate.policy.bindings_of(principal)).encode()).hexdigest()

    def by_name(self, principal: Principal) -> bool:
        """Whether the names of probes make a difference for what it may read."""
        return "probe" in self._gate.policy.axes(principal, Permission.PROBES_READ)

    def sight(self, principal: Principal) -> Hashable:
        """Equal for principals who are shown the same probes now."""
        policy = self._gate.policy
        all_alike = not policy.axes(principal, Permission.PROBES_READ)
        return None if all_alike and self._reads(policy, principal, "", "") else (principal, policy)

    async def visible(self, principal: Principal, snapshot: Snapshot) -> NDArray[np.bool_] | None:
        """Which rows of a snapshot may be read; None for all. Decided by base group where names make no difference."""
        policy = self._gate.policy
        axes = policy.axes(principal, Permission.PROBES_READ)
        if not axes & {"cluster", "namespace", "probe"}:
            return None if self._reads(policy, principal, "", "") else np.zeros(len(snapshot), np.bool_)
        if "probe" in axes:
            return await self._visible_by_name(policy, principal, snapshot)
        groups = self._host.catalog.groups
        if groups.overflowed:  # tag sets beyond the bound share a group, which then says nothing about its probes
            return await self._visible_by_name(policy, principal, snapshot)
        readable = [self._reads(policy, principal, cluster, namespace) for cluster, namespace, _, _ in groups.tags]
        visible: NDArray[np.bool_] = np.array(readable, np.bool_)[snapshot.columns["group"]]
        return visible

    async def _visible_by_name(self, policy: Policy, principal: Principal, snapshot: Snapshot) -> NDArray[np.bool_]:
        known = self._visible.get(principal)
        if known is not None and known[0] is policy and known[1] == snapshot.directory.version:
            return known[2]
        visible = np.zeros(len(snapshot), np.bool_)
        registrations = snapshot.directory.registrations
        for start in range(0, len(registrations), AT_A_STRETCH):
            for row, registration in enumerate(registrations[start : start + AT_A_STRETCH], start):
                options = registration.options
                visible[row] = self._reads(policy, principal, options.cluster, options.namespace, registration.name)
            await trio.lowlevel.checkpoint()
        if len(self._visible) >= _REMEMBERED:
            self._visible.clear()
        self._visible[principal] = (policy, snapshot.directory.version, visible)
        return visible

    def _reads(self, policy: Policy, principal: Principal, cluster: str, namespace: str, probe: str = "") -> bool:
        resource = Resource(host=self._host.settings.host, cluster=cluster, namespace=namespace, probe=probe)
        return policy.decide(principal, Permission.PROBES_READ, resource).allowed

    async def record(self, principal: Principal, action: str, scope: str, *, reason: str = "", detail: str = "") -> None:
        """Write down what is about to be done; Problem, and then it must not be done, when that fails."""
        try:
            await self._audit.append(
                Entry(actor=principal.subject, action=action, scope=scope, result=DONE, reason=reason, detail=detail)
            )
        except AuditError as error:
            raise _not_recorded(str(error)) from None

    async def note(self, principal: Principal, action: str, scope: str, *, reason: str = "", detail: str = "") -> None:
        """Likewise, of what is done whether that fails or not: it is written late then, and says so."""
        self._audit.note(Entry(actor=principal.subject, action=action, scope=scope, result=DONE, reason=reason, detail=detail))

    @property
    def _audit(self) -> Audit:
        audit = self._host.endpoints.audit
        if audit is None:
            raise _not_recorded("this host keeps no audit while it is not serving")
        return audit

    def _resource(self, name: str, options: ProbeOptions) -> Resource:
        return Resource(host=self._host.settings.host, cluster=options.cluster, namespace=options.namespace, probe=name)

    def _refused(self, principal: Principal, permission: Permission, scope: str) -> Problem:
        self._denials.deny(Entry(actor=principal.subject, action=permission, result=DENIED, scope=scope))
        return Problem(
            FORBIDDEN,
            f"{principal.subject} may not {permission}" + (f" on {scope[:256]!r}" if scope else " anywhere"),
            f"somebody has to bind a role with {permission} to {principal.subject}, in [[security.binding]]",
        )


def unknown_probe(name: str) -> Problem:
    return Problem(
        UNKNOWN_PROBE,
        f"no probe is named {name[:256]!r}",
        "list them with GET /probes?name=GLOB; encode the name in the path as %XX",
    )


def unknown_experiment(name: str) -> Problem:
    return Problem(UNKNOWN_EXPERIMENT, f"no experiment is named {name[:256]!r}", "list them with GET /chaos/experiments")


def _not_recorded(why: str) -> Problem:
    return Problem(
        AUDIT_UNAVAILABLE, f"nothing was done: {why}", "look at the disk of the host's state_dir; nothing else stops it"
    )
