"""Who asks: a bearer token, else the connection's client certificate, else the unix socket's peer. Headers name nobody.

A token that is there has to be good: one that is not is refused, whatever else the connection could prove.
"""

from __future__ import annotations

import hmac
import logging
import os
from typing import Any, Final

from meshkit_fastprobe.security.certificates import Revocations, UnnamedCertificateError, principal_of
from meshkit_fastprobe.security.policy import LOCAL_PRINCIPAL, Principal
from meshkit_fastprobe.security.tokens import InvalidTokenError, Tokens
from meshkit_fastprobe.server.local_token import TOKEN_FILE
from meshkit_fastprobe.server.peer import PEER
from meshkit_fastprobe.server.problems import UNAUTHENTICATED, Problem
from meshkit_fastprobe.server.reply import Scope

CHALLENGE: Final = {"www-authenticate": 'Bearer realm="meshkit-fastprobe"'}

log = logging.getLogger("meshkit_fastprobe.server")


class Identities:
    """What proves an identity to this host. local_token None: nobody has one."""

    def __init__(
        self, local_token: str | None = None, tokens: Tokens | None = None, revocations: Revocations | None = None
    ) -> None:
        self._local_token = None if local_token is None else local_token.encode()
        self._tokens = tokens
        self._revocations = revocations

    def identify(self, scope: Scope) -> Principal:
        """Problem when nothing is proven."""
        values = header(scope, b"authorization")
        if values:
            return self._by_token(values)
        peer = PEER.get()
        if peer.certificate is not None:
            return self._by_certificate(peer.certificate)
        if peer.uid is not None and peer.uid in {0, os.geteuid()}:
            return LOCAL_PRINCIPAL
        raise _refused("no Authorization header with a valid bearer token")

    def _by_token(self, values: list[bytes]) -> Principal:
        scheme, _, credentials = values[0].partition(b" ")
        if len(values) != 1 or scheme.lower() != b"bearer":
            raise _refused("no Authorization header with a valid bearer token")
        token = credentials.strip()
        if self._local_token is not None and hmac.compare_digest(token, self._local_token):
            return LOCAL_PRINCIPAL
        if self._tokens is None:
            raise _refused("no Authorization header with a valid bearer token")
        try:
            return self._tokens.principal(token)
        except InvalidTokenError as error:
            log.info("a bearer token was refused: %a", str(error))  # which may be in the token's own words
            raise _refused("the bearer token is not valid here and now") from None

    def _by_certificate(self, der: bytes) -> Principal:
        try:
            return principal_of(der, self._revocations)
        except UnnamedCertificateError as error:
            log.info("a client certificate was refused: %a", str(error))
            raise _refused("the client certificate names nobody who is known here") from None


def header(scope: Scope, name: bytes) -> list[bytes]:
    """All values of a header, its name in lower case."""
    headers: list[Any] = scope["headers"]
    return [value for key, value in headers if key.lower() == name]


def _refused(detail: str) -> Problem:
    hint = (
        f"send 'Authorization: Bearer TOKEN', of the host's issuer or what stands in <state_dir>/{TOKEN_FILE}; "
        "that one is new at each start"
    )
    return Problem(UNAUTHENTICATED, detail, hint, headers=CHALLENGE)
