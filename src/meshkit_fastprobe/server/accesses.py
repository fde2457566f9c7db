"""Every request, counted and logged once it is answered: who asked what, by which protocol, and what came of it.

Logger "meshkit_fastprobe.access": what reads is told at level DEBUG, what changes something or is refused at INFO. Neither
queries nor headers are told: nothing that somebody could have put a secret into. A request that is traced is told at INFO.
"""

from __future__ import annotations

import logging
import time
from typing import Final

import msgspec

from meshkit_fastprobe.security.policy import Principal
from meshkit_fastprobe.server.guard import PRINCIPAL
from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.peer import PEER
from meshkit_fastprobe.server.reply import Answer, Message, Receive, Scope, Send
from meshkit_fastprobe.telemetry.tracing import TRACE, Sampler, traced
from meshkit_fastprobe.telemetry.usage import OTHER, Asked, Requests

ROUTE: Final = "meshkit_fastprobe.route"
"""Where the scope of a request holds the path of the table that it went to."""
OUTCOME: Final = "meshkit_fastprobe.outcome"
"""Where the scope of a call that tells its status elsewhere than HTTP does holds its Outcome."""
MAX_PATH: Final = 256
GONE: Final = 499
"""Counted for a visitor who went before there was an answer, as nginx does."""
_LINE: Final = "%(principal)s at %(peer)s: %(method)s %(path)r -> %(status)d in %(seconds).3f s (%(protocol)s)"
_TRACED_LINE: Final = f"{_LINE} trace %(trace_id)s"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

log = logging.getLogger("meshkit_fastprobe.access")


class Outcome(msgspec.Struct, frozen=True):
    """status: as HTTP would say it. reads: nothing was changed by it."""

    status: int
    protocol: str
    reads: bool


class Accesses:
    """Outermost: what the guard refuses is told too."""

    def __init__(self, app: Answer, requests: Requests, sampler: Sampler) -> None:
        self._app = app
        self._sampler = sampler
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = GONE

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        TRACE.set(self._sampler.trace(header(scope, b"traceparent")))  # in this request's own task
        began = time.perf_counter()
        try:
            await self._app(scope, receive, note_status)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        outcome: Outcome = scope.get(OUTCOME) or Outcome(status, scope["http_version"], method in {"GET", "HEAD"})
        asked = Asked(scope.get(ROUTE, OTHER), method, outcome.protocol, outcome.status)
        self._requests.take(asked, seconds)
        trace = traced()
        level = logging.DEBUG if outcome.reads and asked.status < 400 and not trace else logging.INFO
        if not log.isEnabledFor(level):
            return
        principal: Principal | None = scope.get(PRINCIPAL)
        told = {
            "method": method,
            "path": scope["path"][:MAX_PATH],
            "status": asked.status,
            "protocol": asked.protocol,
            "seconds": round(seconds, 6),
            "principal": "nobody" if principal is None else principal.subject,
            "peer": PEER.get().address,
        }
        log.log(level, _TRACED_LINE if trace else _LINE, {**told, **trace}, extra={**told, **trace})
