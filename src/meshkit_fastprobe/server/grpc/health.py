"""grpc.health.v1.Health: a service is a probe, or "cluster/namespace", or "" for the host itself.

A probe serves while it is healthy or degraded, and does not while it is unhealthy; a group does not while one of its probes is
unhealthy and nothing that this one depends on is; the host serves while it runs probes. Who may not see it is told that there
is no such service.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

import numpy as np
import trio

from meshkit_fastprobe.access import Permission
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


def status_of(context: Context, principal: Principal, service: str) -> int:
    """SERVICE_UNKNOWN when there is none of this name that the principal may see."""
    may = context.authorization.may
    host = context.host.settings
    if not service:
        return SERVING if context.host.ready else NOT_SERVING
    try:
        view = context.host.view(service)
    except UnknownProbeError:
        return _status_of_group(context, principal, service)
    resource = Resource(host=host.host, cluster=view.cluster, namespace=view.namespace, probe=service)
    return OF_STATE[view.state] if may(principal, Permission.PROBES_READ, resource) else SERVICE_UNKNOWN


def _status_of_group(context: Context, principal: Principal, service: str) -> int:
    cluster, slash, namespace = service.partition("/")
    resource = Resource(host=context.host.settings.host, cluster=cluster, namespace=namespace)
    if not slash or not context.authorization.may(principal, Permission.PROBES_READ, resource):
        return SERVICE_UNKNOWN
    snapshot = context.listings.recent()
    rows = snapshot.select(cluster=cluster, namespace=namespace)
    if not len(rows):
        return SERVICE_UNKNOWN
    states = snapshot.columns["state"][rows]
    if np.any((states == State.UNHEALTHY) & ~snapshot.columns["suppressed"][rows]):
        return NOT_SERVING
    return SERVING if np.isin(states, (State.HEALTHY, State.DEGRADED)).any() else UNKNOWN


class Check:
    reads = True

    async def answer(self, context: Context, call: Call) -> None:
        service, principal = await _asked(context, call)
        status = status_of(context, principal, service)
        if status == SERVICE_UNKNOWN:
            raise CallError(Code.NOT_FOUND, f"no probe, and no cluster/namespace, is named {service[:256]!r}")
        await call.write(_response(status))


class Watch:
    """Looks again four times a second: that also sees what is no transition, such as pauses, removals and other roles."""

    reads = True

    def __init__(self) -> None:
        self._watching = 0

    async def answer(self, context: Context, call: Call) -> None:
        service, principal = await _asked(context, call)
        if self._watching >= MAX_WATCHING:
            raise Problem(TOO_MANY_READERS, f"{MAX_WATCHING} watch this host already", "share a stream, or ask again later")
        self._watching += 1
        try:
            await self._tell(context, call, service, principal)
        finally:
            self._watching -= 1

    async def _tell(self, context: Context, call: Call, service: str, principal: Principal) -> None:
        known = None
        for look in count(1):
            if context.events.closed:
                raise CallError(Code.UNAVAILABLE, "the host is leaving")
            if look % PROVEN_LOOKS == 0 and not call.scope[PROVEN]():
                raise good_no_longer()
            status = status_of(context, principal, service)
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
        response.statuses[""].status = status_of(context, principal, "")
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
    kinds: dict[str, Any] = {"Check": Check, "List": List, "Watch": Watch}
    return {f"/{SERVICE}/{name}": kind() for name, kind in kinds.items()}
