"""What is expected of an answer over HTTP, whatever its version: shared by the kinds that speak it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.http_judge import Wish

DEFAULT_MAX_BODY_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_EXPECTED_HEADERS: Final = 16
MAX_BODY_CONTAINS_BYTES: Final = 1024
ANY_SUCCESS: Final = frozenset(range(200, 300))

_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_headers(where: str, headers: Mapping[str, str]) -> None:
    """Names and values that HTTP allows. A value is never repeated in a message: it may be a secret."""
    for name, value in headers.items():
        if not _token.fullmatch(name):
            raise ConfigError(where, f"{shown(name)} is not a header name", "use letters, digits and -")
        if not value.isprintable():
            raise ConfigError(f"{where}.{name}", "the value holds characters that do not print", "remove them")


class HttpExpect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What makes an answer good. No status means any of 200 to 299; headers hold substrings, "" means present."""

    status: tuple[Annotated[int, Meta(extra_json_schema={"minimum": 100, "maximum": 999})], ...] = ()
    headers: dict[str, str] = {}
    body_contains: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.status, tuple):
            msgspec.structs.force_setattr(self, "status", tuple(self.status))
        for status in self.status:
            if not 100 <= status <= 999:
                raise ConfigError(
                    "HttpExpect.status", f"{shown(status)} is not in 100..999", "write the statuses that are good"
                )
        if len(self.headers) > MAX_EXPECTED_HEADERS:
            raise ConfigError(
                "HttpExpect.headers", f"{len(self.headers)} headers; the bound is {MAX_EXPECTED_HEADERS}", "expect fewer"
            )
        check_headers("HttpExpect.headers", self.headers)
        size = len(self.body_contains.encode(errors="surrogatepass"))
        if size > MAX_BODY_CONTAINS_BYTES:
            raise ConfigError(
                "HttpExpect.body_contains", f"{size} bytes; the bound is {MAX_BODY_CONTAINS_BYTES}", "look for a shorter text"
            )

    def wish(self, max_body_bytes: int) -> Wish:
        """The same in the words of what arrives."""
        return Wish(
            status=frozenset(self.status) or ANY_SUCCESS,
            headers=tuple({name.lower().encode(): value.encode() for name, value in self.headers.items()}.items()),
            body_contains=self.body_contains.encode(),
            max_body_bytes=max_body_bytes,
        )

    def __hash__(self) -> int:
        return hash((self.status, self.body_contains, len(self.headers)))


ANY_2XX: Final = HttpExpect()
