"""What handlers are given: the host, its renderer, and the request without the framework around it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from meshkit_fastprobe.security.policy import Principal
from meshkit_fastprobe.security.toggles import Toggles
from meshkit_fastprobe.server.authorization import Authorization
from meshkit_fastprobe.server.dashboard import Page
from meshkit_fastprobe.server.events import Events
from meshkit_fastprobe.server.guard import PRINCIPAL, PROVEN
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.listings import Listings
from meshkit_fastprobe.server.peers import Peers
from meshkit_fastprobe.server.query import Parameter, Query
from meshkit_fastprobe.server.reply import Scope
from meshkit_fastprobe.telemetry.exposition import Exposition


class Context(msgspec.Struct, frozen=True):
    host: Host
    exposition: Exposition
    authorization: Authorization
    listings: Listings
    events: Events
    toggles: Toggles
    per_probe_metrics: bool
    description: Callable[[], bytes]
    """The OpenAPI document."""
    page: Page
    peers: Peers | None
    """Other hosts, where the settings name some."""


class Request(msgspec.Struct, frozen=True):
    scope: Scope
    name: str = ""
    """Of what is in the path, where the route has a name."""
    parameters: tuple[Parameter, ...] = ()
    """That the route takes."""

    @property
    def principal(self) -> Principal:
        """Who asks; only of routes that have a permission."""
        principal: Principal = self.scope[PRINCIPAL]
        return principal

    @property
    def proven(self) -> bool:
        """Whether what came with the request still proves who asks: to be looked at by answers that go on for long."""
        proven: Callable[[], bool] = self.scope[PROVEN]
        return proven()

    @property
    def query(self) -> Query:
        """Problem when there is a parameter that the route does not take."""
        return Query(self.scope["query_string"].decode("latin-1"), self.parameters)

    def refuse_query(self) -> None:
        """Of a route that takes no parameters. Problem when one comes."""
        assert not self.parameters
        Query(self.scope["query_string"].decode("latin-1"), ())

    @property
    def accept(self) -> str:
        return ",".join(value.decode("latin-1") for name, value in self.scope["headers"] if name.lower() == b"accept")
