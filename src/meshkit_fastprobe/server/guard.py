"""The first thing a request meets: is it for this host, who asks, and not too often? Only liveness and readiness skip it.

The files of the page, which hold nothing of any host, skip the second question: a browser has no token before there is a page.
Names are checked before anything else: a page in a browser whose own name was made to point at this host sends that name.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Final

from meshkit_fastprobe.security.audit_chain import Entry
from meshkit_fastprobe.security.denials import DENIED, Denials
from meshkit_fastprobe.security.gate import Gate
from meshkit_fastprobe.security.policy import Principal
from meshkit_fastprobe.server.identity import Identities, header
from meshkit_fastprobe.server.peer import PEER
from meshkit_fastprobe.server.problems import HOST_REFUSED, ORIGIN_REFUSED, TOO_OFTEN, Problem
from meshkit_fastprobe.server.reply import Answer, Receive, Scope, Send

OPEN_PATHS: Final = frozenset({"/livez", "/readyz"})
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
PRINCIPAL: Final = "meshkit_fastprobe.principal"
"""Where the scope of a request holds who asks."""
PROVEN: Final = "meshkit_fastprobe.proven"
"""And here a function without arguments: whether what came with the request still proves that."""


class Admission:
    """Who is let in, whatever the protocol.

    hosts: the Host headers that are answered, without port; None for all (a unix socket, or a proxy that checks them).
    """

    def __init__(self, identities: Identities, gate: Gate, denials: Denials, hosts: frozenset[str] | None) -> None:
        self._identities = identities
        self._gate = gate
        self._denials = denials
        self._hosts = hosts

    def admit(self, scope: Scope) -> None:
        """Say in the scope who asks. Problem when nobody is proven to, or asks too often, or asks another host."""
        self.check_names(scope)
        try:
            principal = self._identities.identify(scope)
        except Problem as problem:
            asked = f"{scope['method']} {scope['path']}"[:512]
            who = PEER.get().address or "somebody"
            self._denials.deny(
                Entry(actor=f"unknown:{who}", action="authenticate", result=DENIED, scope=asked, detail=problem.detail)
            )
            raise
        wait_s = self._gate.rates.take(principal.subject)
        if wait_s > 0:
            raise Problem(
                TOO_OFTEN,
                f"{principal.subject} asks more than {self._gate.rates.max_rate:g} times a second",
                "wait, and ask for larger pages; the bound is security.max_rate",
                headers={"retry-after": str(math.ceil(wait_s))},
            )
        scope[PRINCIPAL] = principal
        scope[PROVEN] = partial(self._proves, scope, principal)

    def _proves(self, scope: Scope, principal: Principal) -> bool:
        """An answer may go on for longer than a token, a certificate or a key is good."""
        try:
            return self._identities.identify(scope) == principal
        except Problem:
            return False

    def check_names(self, scope: Scope) -> None:
        if self._hosts is None:
            return
        known = "ask for one of: " + ", ".join(sorted(self._hosts))
        hosts = header(scope, b"host")
        if len(hosts) != 1 or _name(hosts[0]) not in self._hosts:
            raise Problem(HOST_REFUSED, "the Host header names another host", known)
        for origin in header(scope, b"origin"):
            site = origin.rpartition(b"//")[2]
            # On loopback a name is no proof: whatever else runs on this machine has pages there, on ports of their own.
            if site.lower() != hosts[0].lower() and _name(site) not in self._hosts - LOOPBACK_HOSTS:
                raise Problem(ORIGIN_REFUSED, "the request comes from a page of another site", known)


class Guard:
    """page: the paths of the page's files, which may be read by anybody."""

    def __init__(self, app: Answer, admission: Admission, page: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._admission = admission
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                if scope["path"] in self._page and scope["method"] in {"GET", "HEAD"}:
                    self._admission.check_names(scope)
                else:
                    self._admission.admit(scope)
            except Problem as problem:
                await problem.reply()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(value: bytes) -> str:
    """Without port, in lower case."""
    text = value.decode("latin-1").lower()
    host, colon, port = text.rpartition(":")
    return host if colon and port.isdigit() else text
