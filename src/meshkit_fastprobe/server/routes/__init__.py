"""All routes in one table: path, method, the permission it asks for, and who answers.

No route is reached another way, and only a route without a permission is open: /livez and /readyz. No GET changes anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from meshkit_fastprobe.server.auth import OPEN_PATHS
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.reply import Answer
from meshkit_fastprobe.server.routes import groups, health, metrics, probes

Handler: TypeAlias = Callable[[Context, Request], Awaitable[Answer]]


class RouteSpec(msgspec.Struct, frozen=True):
    method: str
    path: str
    """Below the prefix of the settings when it is a resource, at the root otherwise. {name} takes slashes and colons."""
    permission: str | None
    handler: Handler
    resource: bool = True


ROUTES: Final = (
    RouteSpec("GET", "/livez", None, health.livez, resource=False),
    RouteSpec("GET", "/readyz", None, health.readyz, resource=False),
    RouteSpec("GET", "/metrics", "telemetry.read", metrics.metrics, resource=False),
    RouteSpec("GET", "/probes", "probes.read", probes.list_probes),
    RouteSpec("GET", "/probes/{name}", "probes.read", probes.show_probe),
    RouteSpec("POST", "/probes/{name}:run", "probes.run", probes.run_probe),
    RouteSpec("POST", "/probes/{name}:pause", "probes.write", probes.pause_probe),
    RouteSpec("POST", "/probes/{name}:resume", "probes.write", probes.resume_probe),
    RouteSpec("GET", "/groups", "probes.read", groups.list_groups),
)

assert {route.path for route in ROUTES if route.permission is None} == OPEN_PATHS, (
    "open is what the guard lets through, no more"
)
