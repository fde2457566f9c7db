"""HTTP/1.1: the target answers a request as expected."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

from meshkit_fastprobe._native.target import HttpPlan, Target
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.base import Endpoint, NativeProbe
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import split_host_port

DEFAULT_MAX_BODY_BYTES = 64 * 1024
MAX_PLANS = 4096
_plans: dict[tuple[Any, ...], HttpPlan] = {}
"""Requests that differ only in their host share one plan; bounded, the oldest goes first."""


class HttpExpect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes an answer good. No status means any of 200 to 299; headers hold substrings, "" means present."""

    status: tuple[int, ...] = ()
    headers: dict[str, str] = {}
    body_contains: str = ""


_ANY_2XX = HttpExpect()


@probe_kind()
class HttpProbe(msgspec.Struct, frozen=True):
    """GET or HEAD `http://host:port/path` (or `http+unix://%2Fpath%2Fto.sock/path`), new connection each time unless keep_alive.

    Redirects are answers like any other: expect their status. Bodies are read up to max_body_bytes.
    """

    kind: ClassVar[str] = "http"
    target: str
    method: Literal["GET", "HEAD"] = "GET"
    headers: dict[str, str] = {}
    expect: HttpExpect = _ANY_2XX
    keep_alive: bool = False
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES

    def __post_init__(self) -> None:
        self.endpoint  # noqa: B018 - raises for a target that cannot be
        _bounds(self)

    @property
    def endpoint(self) -> Endpoint:
        url = _split(self.target)
        if url.scheme == "http+unix":
            return unquote(url.netloc)
        host = url.hostname or ""
        return split_host_port("http target", f"[{host}]:{url.port or 80}" if ":" in host else f"{host}:{url.port or 80}")

    def compile(self, host: str, port: int) -> Target:
        url = _split(self.target)
        path = quote(url.path or "/", safe="/%:@!$&'()*+,;=-._~") + (
            f"?{quote(url.query, safe='/%:@!$&()*+,;=-._~?')}" if url.query else ""
        )
        return Target.http(
            host, port, _plan(self, path), "localhost" if url.scheme == "http+unix" else url.netloc.rpartition("@")[2]
        )


def _split(target: str) -> SplitResult:
    try:
        url = urlsplit(target)
        url.port  # noqa: B018 - raises ValueError for an impossible port
    except ValueError as error:
        raise ConfigError("http target", f"{target!r} is not a URL: {error}", "write http://host:port/path") from None
    if url.scheme not in {"http", "http+unix"}:
        raise ConfigError(
            "http target", f"{target!r} has scheme {url.scheme!r}", "write http://host:port/path or http+unix://%2Fpath/path"
        )
    if not url.netloc:
        raise ConfigError("http target", f"{target!r} names no host", "write http://host:port/path")
    if "@" in url.netloc:
        raise ConfigError(
            "http target", "a URL must not hold credentials", "send an authorization header from a secret instead"
        )
    return url


def _bounds(probe: HttpProbe) -> None:
    where = f"http {probe.target}"
    for status in probe.expect.status:
        if not 100 <= status <= 599:
            raise ConfigError(f"{where}: expect.status", f"{status} is not in 100..599")
    if not 0 <= probe.max_body_bytes <= 16 * 1024 * 1024:
        raise ConfigError(f"{where}: max_body_bytes", f"{probe.max_body_bytes} is not in 0..16777216")
    if len(probe.expect.headers) > 16:
        raise ConfigError(f"{where}: expect.headers", f"{len(probe.expect.headers)} headers; the bound is 16")
    if len(probe.expect.body_contains.encode()) > 1024:
        raise ConfigError(f"{where}: expect.body_contains", "longer than 1024 bytes")
    if probe.method == "HEAD" and probe.expect.body_contains:
        raise ConfigError(f"{where}: expect.body_contains", "a HEAD answer has no body", 'use method = "GET"')
    for name, value in [*probe.headers.items(), *probe.expect.headers.items()]:
        if not name or not name.isascii() or any(character <= " " or character in ':"(),/;<=>?@[\\]{}' for character in name):
            raise ConfigError(f"{where}: headers", f"{name!r} is not a header name")
        if any(character in "\r\n\0" for character in value) or not value.isprintable():
            raise ConfigError(f"{where}: headers.{name}", "the value holds control characters")


def _plan(probe: HttpProbe, path: str) -> HttpPlan:
    key = (
        probe.method, path, tuple(probe.headers.items()), probe.expect.status, tuple(probe.expect.headers.items()),
        probe.expect.body_contains, probe.max_body_bytes, probe.keep_alive,
    )  # fmt: skip
    plan = _plans.get(key)
    if plan is None:
        while len(_plans) >= MAX_PLANS:
            _plans.pop(next(iter(_plans)))
        plan = _plans[key] = HttpPlan(
            method=probe.method,
            path=path,
            headers=probe.headers,
            status=probe.expect.status,
            expect_headers={name.lower(): value for name, value in probe.expect.headers.items()},
            body_contains=probe.expect.body_contains.encode(),
            max_body=probe.max_body_bytes,
            keep_alive=probe.keep_alive,
        )
    return plan


_: type[NativeProbe] = HttpProbe
