"""Paths that callers of the original know: the same handlers, permissions, confirmations and records, under another name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

ALIASES: Final = {
    ("GET", "/omnirelay/control/probes"): "/probes",
    ("POST", "/omnirelay/control/chaos/{name}:start"): "/chaos/experiments/{name}:activate",
    ("POST", "/omnirelay/control/chaos/{name}:stop"): "/chaos/experiments/{name}:stop",
}


def aliases_of(routes: Iterable[S]) -> list[S]:
    """routes: RouteSpecs of the table."""
    found = {(route.method, route.path): route for route in routes}  # type: ignore[attr-defined] # the table imports us
    return [
        msgspec.structs.replace(found[method, path], path=alias, resource=False) for (method, alias), path in ALIASES.items()
    ]
