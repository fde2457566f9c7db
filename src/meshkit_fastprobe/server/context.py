"""What handlers are given: the host, its renderer, and the request without the framework around it."""

from __future__ import annotations

import msgspec

from meshkit_fastprobe.security.policy import Principal
from meshkit_fastprobe.security.toggles import Toggles
from meshkit_fastprobe.server.authorization import Authorization
from meshkit_fastprobe.server.events import Events
from meshkit_fastprobe.server.guard import PRINCIPAL
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.query import Query
from meshkit_fastprobe.server.reply import Scope
from meshkit_fastprobe.telemetry.exposition import Exposition


class Context(msgspec.Struct, frozen=True):
    host: Host
    exposition: Exposition
    authorization: Authorization
    events: Events
    toggles: Toggles
    per_probe_metrics: bool


class Request(msgspec.Struct, frozen=True):
    scope: Scope
    name: str = ""
    """Of the probe in the path, where the route has one."""

    @property
    def principal(self) -> Principal:
        """Who asks; only of routes that have a permission."""
        principal: Principal = self.scope[PRINCIPAL]
        return principal

    def query(self, *known: str, repeatable: tuple[str, ...] = ()) -> Query:
        return Query(self.scope["query_string"].decode("latin-1"), known, repeatable)

    @property
    def accept(self) -> str:
        return ",".join(value.decode("latin-1") for name, value in self.scope["headers"] if name.lower() == b"accept")
