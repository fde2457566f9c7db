"""/events: what happens, as it happens; resumed by Last-Event-ID."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.security.gate import Gate
from meshkit_fastprobe.security.policy import Policy
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import rfc3339
from meshkit_fastprobe.server.events import MAX_READERS, Event, Position, View, Wanted
from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.problems import TOO_MANY_READERS, Problem
from meshkit_fastprobe.server.query import invalid
from meshkit_fastprobe.server.reply import StreamReply
from meshkit_fastprobe.server.telling import AUDIT, CHAOS, TOGGLE, TRANSITION

TYPES: Final[dict[str, Permission]] = {
    TRANSITION: Permission.PROBES_READ,
    AUDIT: Permission.AUDIT_READ,
    TOGGLE: Permission.TOGGLES_READ,
    CHAOS: Permission.CHAOS_READ,
}
"""And what one has to hold to be told of it."""
MEDIA_TYPE: Final = "text/event-stream"
PROVEN_FOR_S: Final = 5.0
"""After this it is looked at again whether a reader still is who it was."""


async def follow(context: Context, request: Request) -> StreamReply:
    query = request.query
    wanted = Wanted(
        types=query.one("types", _types, None),
        cluster=query.text("cluster"),
        namespace=query.text("namespace"),
        kind=query.text("kind"),
        name=query.text("name"),
    )
    events = context.events
    if events.readers >= MAX_READERS:
        raise Problem(
            TOO_MANY_READERS,
            f"{MAX_READERS} readers follow the events of this host already",
            "share a stream between those who look, or ask again later",
            headers={"retry-after": "5"},
        )
    seen = header(request.scope, b"last-event-id")
    after = Position.parse(seen[0].decode("latin-1")) or Position("", 0) if seen else None
    hello = {"host": context.host.settings.host, "generatedAt": rfc3339(time.time())}
    return StreamReply(MEDIA_TYPE, events.follow(after, _Views(context.host.gate, request, wanted), hello))


def _types(text: str) -> frozenset[str]:
    types = frozenset(text.split(","))
    if not types <= TYPES.keys():
        raise invalid("types", f"is {text[:80]!r}", f"give some of these, with commas: {', '.join(TYPES)}")
    return types


class _Views:
    """What a principal sees of what it wants, by the bindings in force at the moment; None once nothing proves it any more."""

    def __init__(self, gate: Gate, request: Request, wanted: Wanted) -> None:
        self._gate = gate
        self._request = request
        self._principal = request.principal
        self._proven_until_s = trio.current_time() + PROVEN_FOR_S
        self._wanted = wanted
        self._policy: Policy | None = None
        self._view = View(None, None)

    def __call__(self) -> View | None:
        if trio.current_time() >= self._proven_until_s:
            if not self._request.proven:
                return None
            self._proven_until_s = trio.current_time() + PROVEN_FOR_S
        policy = self._gate.policy
        if policy is not self._policy:
            self._policy = policy
            self._view = View((policy, self._principal, self._wanted), self._shows(policy))
        return self._view

    def _shows(self, policy: Policy) -> Callable[[Event], bool]:
        principal, wants = self._principal, self._wanted.test()
        by_name = any("probe" in policy.axes(principal, permission) for permission in TYPES.values())
        decided: dict[tuple[Permission, str, str, str], bool] = {}

        def sees(event: Event) -> bool:
            key = (event.permission, event.resource.cluster, event.resource.namespace, event.resource.fault)
            if by_name or key not in decided:
                decided[key] = policy.decide(principal, event.permission, event.resource).allowed
            return decided[key]

        return sees if wants is None else lambda event: wants(event) and sees(event)
