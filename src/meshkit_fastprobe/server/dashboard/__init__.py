"""The page's files, read once and kept packed: a few, small, and the same on every host of this version.

They hold nothing of any host; what the page shows it asks for with the reader's own identity. That is why they may be had
before anybody has signed in (docs/internals/decisions/sign-in-page.md).
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from hashlib import blake2b
from html import escape
from importlib.resources import files
from typing import Final

from meshkit_fastprobe.server.reply import COMPRESSED_FROM, Reply, Scope, accepts_gzip

ROOT: Final = "/"
FILES: Final = "/dashboard/"
MEDIA: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
SECURITY: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
_INDEX: Final = "index.html"


class Page:
    """All files of the page, for endpoints below this prefix."""

    def __init__(self, prefix: str) -> None:
        contents = _read()
        preload = "".join(f'<link rel="modulepreload" href="{FILES}{name}">' for name in contents if name.endswith(".js"))
        index = contents[_INDEX].replace(b"{prefix}", escape(prefix).encode()).replace(b"{preload}", preload.encode())
        self._files = {name: _File(name, content) for name, content in {**contents, _INDEX: index}.items()}

    @property
    def paths(self) -> frozenset[str]:
        """All that is served, as paths of requests."""
        return frozenset({ROOT, *(FILES + name for name in self._files if name != _INDEX)})

    def reply(self, name: str, scope: Scope) -> Reply | None:
        """The file of this name, "" being the page itself; None when there is no such file."""
        file = self._files.get(name or _INDEX)
        return None if file is None else file.reply(scope)


class _File:
    def __init__(self, name: str, content: bytes) -> None:
        packed = gzip.compress(content, mtime=0)
        self._media = MEDIA[name.rpartition(".")[2]]
        self._plain = content
        self._packed = packed if len(content) >= COMPRESSED_FROM else None
        self._headers = {
            **SECURITY,
            "cache-control": "no-cache",  # asked again each time: a page of an older version than its host would be a riddle
            "etag": f'W/"{blake2b(content, digest_size=12).hexdigest()}"',
            "vary": "accept-encoding",
        }

    def reply(self, scope: Scope) -> Reply:
        if self._packed is not None and accepts_gzip(scope):
            return Reply(200, self._media, self._packed, {**self._headers, "content-encoding": "gzip"})
        return Reply(200, self._media, self._plain, self._headers)


@lru_cache(maxsize=1)
def _read() -> dict[str, bytes]:
    folder = files(__name__) / "static"
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir(), key=lambda file: file.name)}
