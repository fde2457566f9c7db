"""All routes in one table: path, method, the permission it asks for, and who answers.

No route is reached another way, and only a route without a permission is open: /livez and /readyz. No GET changes anything.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.guard import OPEN_PATHS
from meshkit_fastprobe.server.reply import Answer
from meshkit_fastprobe.server.routes import audit, events, groups, health, metrics, probes, toggles

Handler: TypeAlias = Callable[[Context, Request], Awaitable[Answer]]


class Over(enum.Enum):
    """What a permission is asked about."""

    HOST = "the whole host"
    PROBE = "the probe in the path"
    SOME = "anything; the handler shows what may be seen"


class RouteSpec(msgspec.Struct, frozen=True):
    method: str
    path: str
    """Below the prefix of the settings when it is a resource, at the root otherwise. {name} takes slashes and colons."""
    permission: Permission | None
    handler: Handler
    over: Over = Over.HOST
    action: str = ""
    """What the audit calls it, of a route that changes something: written down before it is done."""
    says_more: bool = False
    """The handler writes it down itself, since it knows more."""
    resource: bool = True


ROUTES: Final = (
    RouteSpec("GET", "/livez", None, health.livez, resource=False),
    RouteSpec("GET", "/readyz", None, health.readyz, resource=False),
    RouteSpec("GET", "/metrics", Permission.TELEMETRY_READ, metrics.metrics, resource=False),
    RouteSpec("GET", "/probes", Permission.PROBES_READ, probes.list_probes, Over.SOME),
    RouteSpec("GET", "/probes/{name}", Permission.PROBES_READ, probes.show_probe, Over.PROBE),
    RouteSpec("POST", "/probes/{name}:run", Permission.PROBES_RUN, probes.run_probe, Over.PROBE, "probe.run"),
    RouteSpec("POST", "/probes/{name}:pause", Permission.PROBES_WRITE, probes.pause_probe, Over.PROBE, "probe.pause"),
    RouteSpec("POST", "/probes/{name}:resume", Permission.PROBES_WRITE, probes.resume_probe, Over.PROBE, "probe.resume"),
    RouteSpec("GET", "/groups", Permission.PROBES_READ, groups.list_groups, Over.SOME),
    RouteSpec("GET", "/events", Permission.PROBES_READ, events.follow, Over.SOME),
    RouteSpec("GET", "/toggles", Permission.TOGGLES_READ, toggles.list_toggles),
    RouteSpec("PUT", "/toggles/{name}", Permission.TOGGLES_WRITE, toggles.set_toggle, action=toggles.ACTION, says_more=True),
    RouteSpec("GET", "/audit", Permission.AUDIT_READ, audit.list_records),
)

assert {route.path for route in ROUTES if route.permission is None} == OPEN_PATHS, (
    "open is what the guard lets through, no more"
)
assert all((route.method == "GET") is (not route.action) for route in ROUTES), (
    "what changes something is not a GET, and is audited"
)


async def admit(context: Context, spec: RouteSpec, request: Request) -> None:
    """Problem when who asks may not; a change is on record when this returns."""
    if spec.permission is None:
        return
    authorization, principal = context.authorization, request.principal
    match spec.over:
        case Over.HOST:
            authorization.over_host(principal, spec.permission)
        case Over.PROBE:
            authorization.over_probe(principal, spec.permission, request.name)
        case Over.SOME:
            authorization.over_some(principal, spec.permission)
    if spec.action and not spec.says_more:
        await authorization.record(principal, spec.action, request.name or context.host.settings.host)
