"""The second yes: a token that says exactly what was shown, good once, soon, here, and for who asked.

It is an HMAC over the id of the plan, the principal, its standing (what roles it had), the host, the boot, a number that is
never used twice, and the time. The key is made at the start of the process and never leaves it, so a restart takes back every
token there is. Times are monotonic: setting the clock gives nobody more of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec

from meshkit_fastprobe.security.boot import boot_id

MAX_TOKEN_LENGTH: Final = 2048
_MAC_BYTES: Final = hashlib.sha256().digest_size


class ConfirmationRefusedError(Exception):
    """The token does not confirm this. The message is for whoever asked, and tells nothing of the key."""


class _Said(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    plan: str
    run: str
    subject: str
    standing: str
    host: str
    boot: str
    jti: str
    issued_ns: int
    expires_ns: int


class Confirmations:
    """Of one process."""

    def __init__(self, host: str, *, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._host = host
        self._boot = f"{boot_id()}/{secrets.token_hex(8)}"
        self._key = secrets.token_bytes(32)
        self._now_ns = now_ns
        self._used: dict[str, int] = {}

    def issue(self, *, plan: str, run: str, subject: str, standing: str = "", lasts_s: float) -> str:
        now_ns = self._now_ns()
        said = _Said(
            plan, run, subject, standing, self._host, self._boot, secrets.token_hex(16), now_ns, now_ns + int(lasts_s * 1e9)
        )
        content = msgspec.json.encode(said)
        return base64.urlsafe_b64encode(self._mac(content) + content).decode().rstrip("=")

    def check(self, token: str, *, plan: str, run: str, subject: str, standing: str = "") -> str:
        """What marks the token as used, for `redeem`. ConfirmationRefusedError says what does not fit."""
        said = self._read(token)
        if said.boot != self._boot or said.host != self._host:
            raise ConfirmationRefusedError("the confirmation is of another host, or of before a restart")
        if said.subject != subject:
            raise ConfirmationRefusedError("the confirmation was given to somebody else")
        if said.standing != standing:
            raise ConfirmationRefusedError("your roles have changed since it was prepared")
        if said.run != run or said.plan != plan:
            raise ConfirmationRefusedError("the confirmation is of another plan")
        if self._now_ns() >= said.expires_ns:
            raise ConfirmationRefusedError("the confirmation has expired")
        if said.jti in self._used:
            raise ConfirmationRefusedError("the confirmation was used already")
        return said.jti

    def redeem(self, token: str, *, plan: str, run: str, subject: str, standing: str = "") -> None:
        """Check it, and use it up: of any number who try at once, one gets through."""
        jti = self.check(token, plan=plan, run=run, subject=subject, standing=standing)
        now_ns = self._now_ns()
        self._used = {used: until_ns for used, until_ns in self._used.items() if until_ns > now_ns}
        self._used[jti] = self._read(token).expires_ns

    def _read(self, token: str) -> _Said:
        refused = ConfirmationRefusedError("this is no confirmation of this host")
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise refused
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise refused from None
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:  # bits that decoding drops must not be free to choose
            raise refused
        if not hmac.compare_digest(raw[:_MAC_BYTES], self._mac(raw[_MAC_BYTES:])):
            raise refused
        return msgspec.json.decode(raw[_MAC_BYTES:], type=_Said)

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")
