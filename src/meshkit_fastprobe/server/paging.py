"""Page tokens: where the last page ended, by name.

A row number would skip or repeat probes when others come and go between two pages; the last name seen does not. The token also
carries a digest of the filters, so that it is not used with others by mistake, and so that a cut or altered one is recognised.
It is no secret: it says nothing that the page did not.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

from meshkit_fastprobe.server.problems import INVALID_PAGE_TOKEN, Problem

_DIGEST_BYTES = 8
_DIGITS = 18
"""What SQLite has room for."""


def make_token(last_name: str, filters: str) -> str:
    name = last_name.encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(_digest(name, filters) + name).decode("ascii").rstrip("=")


def read_token(token: str, filters: str) -> str:
    """The last name seen. Problem for a token that is not ours, is cut, or was made for other filters."""
    name = _name_in(token, filters)
    if name is None:
        raise _refused()
    return name


def read_number(token: str, filters: str) -> int:
    """Of a listing by number. Problem likewise: anybody can make a token, so what it holds may be anything."""
    name = _name_in(token, filters) or ""
    if not (name.isascii() and name.isdigit() and len(name) <= _DIGITS):
        raise _refused()
    return int(name)


def _name_in(token: str, filters: str) -> str | None:
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        digest, name = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if digest == _digest(name, filters):
            return name.decode("utf-8", "surrogatepass")
    except (ValueError, binascii.Error):
        pass
    return None


def _refused() -> Problem:
    return Problem(
        INVALID_PAGE_TOKEN,
        "page_token is altered, cut, or belongs to a request with other filters",
        "use nextPageToken as it was given, with the same filters, or start without page_token",
    )


def _digest(name: bytes, filters: str) -> bytes:
    return blake2b(
        name, digest_size=_DIGEST_BYTES, key=blake2b(filters.encode("utf-8", "replace"), digest_size=32).digest()
    ).digest()
