"""grpc.health.v1.Health: a service is a probe, or "cluster/namespace", or "" for the host itself.

A probe serves while it is healthy or degraded, and does not while it is unhealthy; a group does not while one of its probes is
unhealthy and nothing that this one depends on is; the host serves while it runs probes. Who may not see it is told that there
is no such service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import count
from typing import Any, Final

import numpy as np
import trio
from numpy.typing import NDArray

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.errors import UnknownProbeError
from meshkit_fastprobe.model import State
from meshkit_fastprobe.security.policy import Principal, Resource
from meshkit_fastprobe.server.context import Context
from meshkit_fastprobe.server.grpc.call import Call
from meshkit_fastprobe.server.grpc.messages import message_class
from meshkit_fastprobe.server.grpc.method import Method
from meshkit_fastprobe.server.grpc.resources import plain
from meshkit_fastprobe.server.grpc.status import CallError, Code, good_no_longer
from meshkit_fastprobe.server.guard import PRINCIPAL, PROVEN
from meshkit_fastprobe.server.problems import TOO_MANY_READERS, Problem

SERVICE: Final = "grpc.health.v1.Health"
MAX_LISTED: Final = 10_000
AT_A_STRETCH: Final = 1024
MAX_WATCHING: Final = 1024
MAX_WATCHING_EACH: Final = 512
"""By one principal, so that it keeps no other from watching."""
LOOK_S: Final = 0.25
PROVEN_LOOKS: Final = 20
"""After so many it is looked at again whether a watcher still is who it was."""
UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN = range(4)

OF_STATE: Final = {
    State.UNKNOWN: UNKNOWN,
    State.HEALTHY: SERVING,
    State.DEGRADED: SERVING,
    State.UNHEALTHY: NOT_SERVING,
    State.PAUSED: UNKNOWN,
}


class Statuses:
    """What services come to. A group's is worked out once for all who see the same of one snapshot: many watch the same."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._groups: dict[tuple[Hashable, str], int] = {}

    async def of(self, context: Context, principal: Principal, service: str) -> int:
        """SERVICE_UNKNOWN when there is none of this name that the principal may see."""
        if not service:
            return of_host(context)
        try:
            view = context.host.view(service)
        except UnknownProbeError:
            return await self._of_group(context, principal, service) if "/" in service else SERVICE_UNKNOWN
        resource = Resource(host=context.host.settings.host, cluster=view.cluster, namespace=view.namespace, probe=service)
        allowed = context.authorization.may(principal, Permission.PROBES_READ, resource)
        return OF_STATE[view.state] if allowed else SERVICE_UNKNOWN

    async def _of_group(self, context: Context, principal: Principal, service: str) -> int:
        snapshot, sight = context.listings.recent(), context.authorization.sight(principal)
        if snapshot is not self._snapshot:
            self._snapshot, self._groups = snapshot, {}
        known = self._groups.get((sight, service))
        if known is not None:
            return known
        visible = await context.authorization.visible(principal, snapshot)
        status = _status_of_group(snapshot, visible, service)
        if snapshot is self._snapshot:
            self._groups[sight, service] = status
        return status


def of_host(context: Context) -> int:
    return SERVING if context.host.ready else NOT_SERVING


def _status_of_group(snapshot: Snapshot, visible: NDArray[np.bool_] | None, service: str) -> int:
    cluster, _, namespace = service.partition("/")
    rows = snapshot.select(cluster=cluster, namespace=namespace)
    if visible is not None:
        rows = rows[visible[rows]]
    if not len(rows):
        return SERVICE_UNKNOWN
    states = snapshot.columns["state"][rows]
    if np.any((states == State.UNHEALTHY) & ~snapshot.columns["suppressed"][rows]):
        return NOT_SERVING
    return SERVING if np.isin(states, (State.HEALTHY, State.DEGRADED)).any() else UNKNOWN


class Check:
    reads = True

    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses

    async def answer(self, context: Context, call: Call) -> None:
        service, principal = await _asked(context, call)
        status = await self._statuses.of(context, principal, service)
        if status == SERVICE_UNKNOWN:
            raise CallError(Code.NOT_FOUND, f"no probe, and no cluster/namespace, is named {service[:256]!r}")
        await call.write(_response(status))


class Watch:
    """Looks again four times a second: that also sees what is no transition, such as pauses, removals and other roles."""

    reads = True

    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses
        self._watching: Counter[str] = Counter()  # by the principal's subject

    async def answer(self, context: Context, call: Call) -> None:
        service, principal = await _asked(context, call)
        own = self._watching[principal.subject]
        if own >= MAX_WATCHING_EACH or self._watching.total() >= MAX_WATCHING:
            told = f"{own} streams of yours watch" if own >= MAX_WATCHING_EACH else f"{MAX_WATCHING} watch"
            raise Problem(TOO_MANY_READERS, f"{told} this host already", "share a stream, or ask again later")
        self._watching[principal.subject] += 1
        try:
            await self._tell(context, call, service, principal)
        finally:
            self._watching[principal.subject] -= 1
            self._watching += Counter()  # keeps no zeros

    async def _tell(self, context: Context, call: Call, service: str, principal: Principal) -> None:
        known = None
        for look in count(1):
            if context.events.closed:
                raise CallError(Code.UNAVAILABLE, "the host is leaving")
            if look % PROVEN_LOOKS == 0 and not call.scope[PROVEN]():
                raise good_no_longer()
            status = await self._statuses.of(context, principal, service)
            if status != known:
                await call.write(_response(status))
            known = status
            await trio.sleep(LOOK_S)


class List:
    reads = True

    async def answer(self, context: Context, call: Call) -> None:
        _, principal = await _asked(context, call)
        snapshot = context.listings.recent()
        visible = await context.authorization.visible(principal, snapshot)
        rows = range(len(snapshot)) if visible is None else np.flatnonzero(visible).tolist()
        if len(rows) > MAX_LISTED:
            raise CallError(Code.RESOURCE_EXHAUSTED, f"{len(rows)} services; this lists {MAX_LISTED}: Check, or Watch, by name")
        states = snapshot.columns["state"]
        response = message_class("grpc.health.v1.HealthListResponse")()
        response.statuses[""].status = of_host(context)
        for done, row in enumerate(rows, 1):
            response.statuses[snapshot.names[row]].status = OF_STATE[State(states[row])]
            if done % AT_A_STRETCH == 0:
                await trio.lowlevel.checkpoint()
        await call.write(response.SerializeToString())


async def _asked(context: Context, call: Call) -> tuple[str, Principal]:
    principal: Principal = call.scope[PRINCIPAL]
    context.authorization.over_some(principal, Permission.PROBES_READ)
    given = plain(message_class("grpc.health.v1.HealthCheckRequest"), await call.read_only())
    return str(given.get("service", "")), principal


def _response(status: int) -> bytes:
    content: bytes = message_class("grpc.health.v1.HealthCheckResponse")(status=status).SerializeToString()
    return content


def methods() -> dict[str, Method]:
    statuses = Statuses()
    kinds: dict[str, Any] = {"Check": Check(statuses), "List": List(), "Watch": Watch(statuses)}
    return {f"/{SERVICE}/{name}": kind for name, kind in kinds.items()}
