"""One ASGI app from the table of routes: guard, then route, then handler; every error becomes a problem. And gRPC beside it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest
from starlette.routing import Match, Route

from meshkit_fastprobe.security.audit_chain import Entry
from meshkit_fastprobe.security.denials import Denials
from meshkit_fastprobe.security.toggles import Toggles
from meshkit_fastprobe.server.accesses import ROUTE, Accesses
from meshkit_fastprobe.server.authorization import Authorization
from meshkit_fastprobe.server.bodies import Bodies
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.dashboard import Page
from meshkit_fastprobe.server.events import Events
from meshkit_fastprobe.server.grpc.calls import Calls
from meshkit_fastprobe.server.grpc.method import Method
from meshkit_fastprobe.server.guard import LOOPBACK_HOSTS, Admission, Guard
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.identity import Identities
from meshkit_fastprobe.server.listings import Listings
from meshkit_fastprobe.server.openapi import openapi
from meshkit_fastprobe.server.peers import Peers
from meshkit_fastprobe.server.problems import METHOD_NOT_ALLOWED, NOT_FOUND, Problem
from meshkit_fastprobe.server.reply import Answer
from meshkit_fastprobe.server.routes import ROUTES, RouteSpec, admit
from meshkit_fastprobe.server.routes.aliases import aliases_of
from meshkit_fastprobe.server.switching import declared
from meshkit_fastprobe.server.unexpected import our_fault
from meshkit_fastprobe.telemetry.exposition import Exposition

DEFAULT_PREFIX = "/meshkit/diagnostics/v1"

log = logging.getLogger("meshkit_fastprobe.server")


def build_app(
    diag: Host,
    identities: Identities,
    *,
    denials: Denials | None = None,
    events: Events | None = None,
    toggles: Toggles | None = None,
    prefix: str = DEFAULT_PREFIX,
    hosts: frozenset[str] | None = LOOPBACK_HOSTS,
    per_probe_metrics: bool = True,
    aliases: bool = False,
    peers: Peers | None = None,
) -> Starlette:
    """The endpoints of one Diagnostics. It must be called on the thread of that Diagnostics: it reads the table.

    identities: what proves who asks; nobody else is let in but to /livez, /readyz and the files of the page. denials: where
    refusals are written down.
    events: what /events tells; somebody has to run it. toggles: by default the built-in ones, in memory.
    aliases: whether paths of the original are answered, too.
    peers: other hosts that /fleet/hosts tells of.
    hosts: Host headers that are answered; None for all (a unix socket, or a proxy that checks them).
    """
    denials = denials or Denials(_log_denial)
    context = Context(
        host=diag,
        exposition=Exposition(diag),
        authorization=Authorization(diag, diag.gate, denials),
        listings=Listings(diag),
        events=events or Events(),
        toggles=toggles or Toggles(declared(diag.kinds), {}, None),
        per_probe_metrics=per_probe_metrics,
        description=partial(openapi, prefix),
        page=Page(prefix),
        peers=peers,
    )
    admission = Admission(identities, diag.gate, denials, hosts)
    # Starlette asks for its own Response class where any ASGI callable does.
    problems: dict[Any, Any] = {HTTPException: _routing_problem, Exception: _internal}
    app = Starlette(
        routes=[_route(context, spec, prefix) for spec in (*ROUTES, *(aliases_of(ROUTES) if aliases else ()))],
        middleware=[
            Middleware(Accesses, requests=diag.endpoints.requests, sampler=diag.endpoints.sampler),
            Middleware(Calls, context=context, admission=admission, methods=_methods),
            Middleware(Bodies),
            Middleware(Guard, admission=admission, page=context.page.paths),
        ],
        exception_handlers=problems,
    )
    app.router.redirect_slashes = False  # a redirect would be built from the Host header
    return app


def _route(context: Context, spec: RouteSpec, prefix: str) -> Route:
    path = (prefix if spec.resource else "") + spec.path.replace("{name}", "{name:path}")
    return Route(path, _endpoint(context, spec), methods=[spec.method])


def _endpoint(context: Context, spec: RouteSpec) -> Callable[[StarletteRequest], Awaitable[Answer]]:
    async def endpoint(request: StarletteRequest) -> Answer:
        request.scope[ROUTE] = spec.path
        try:
            asked = Request(request.scope, request.path_params.get("name", ""), spec.query)
            await admit(context, spec, asked)
            return await spec.handler(context, asked)
        except Problem as problem:
            return problem.reply()
        except Exception as error:  # noqa: BLE001 - the reader gets an id, the log the rest
            return our_fault(f"{spec.method} {spec.path}", error).reply()

    return endpoint


def _methods() -> Mapping[str, Method]:
    from meshkit_fastprobe.server.grpc.methods import all_methods

    return all_methods()


def _log_denial(entry: Entry) -> None:
    log.warning("%s was refused %s %s", entry.actor, entry.action, entry.scope)


async def _routing_problem(request: StarletteRequest, error: Exception) -> Answer:
    assert isinstance(error, HTTPException)
    if error.status_code == METHOD_NOT_ALLOWED.status:
        # Of all routes that fit: Starlette tells those of the first.
        fitting = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
        allowed = ", ".join(sorted({method for route in fitting for method in route.methods}))
        return Problem(
            METHOD_NOT_ALLOWED, "another method is needed", f"allowed: {allowed}", headers={"allow": allowed}
        ).reply()
    return Problem(NOT_FOUND, "no such path", "the paths stand in docs/reference/http.md").reply()


async def _internal(_request: StarletteRequest, error: Exception) -> Answer:
    return our_fault("the app", error).reply()
