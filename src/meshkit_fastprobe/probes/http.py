"""HTTP/1.1: the target answers a request as expected."""

from __future__ import annotations

import threading
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from meshkit_fastprobe._native.target import HttpPlan, Target
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason, Result
from meshkit_fastprobe.probes.base import Endpoint, PortableProbe
from meshkit_fastprobe.probes.http_expect import (
    ANY_2XX,
    DEFAULT_MAX_BODY_BYTES,
    MAX_BODY_BYTES,
    HttpExpect,
    check_headers,
)
from meshkit_fastprobe.probes.http_on_trio import Exchange, HttpTarget
from meshkit_fastprobe.probes.http_url import parse_url
from meshkit_fastprobe.probes.keeping import DEFAULT_IDLE, IdleTimeout, idle_seconds
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.via import ANY_WAY, Via

MAX_PLANS: Final = 4096

_plans: dict[tuple[Any, ...], HttpPlan] = {}
"""Requests that differ only in their host share one plan; bounded, the oldest goes first."""
_plans_lock = threading.Lock()


@probe_kind()
class HttpProbe(msgspec.Struct, frozen=True, gc=False):
    """GET or HEAD `http://host:port/path` or `http+unix://%2Fpath%2Fto.sock/path`, on a new connection unless keep_alive.

    A kept connection is closed when it has idled for idle_timeout; 0 keeps it until the target ends it. Redirects are answers
    like any other: expect their status. Bodies are read up to max_body_bytes.
    """

    kind: ClassVar[str] = "http"
    target: str
    method: Literal["GET", "HEAD"] = "GET"
    headers: dict[str, str] = {}
    expect: HttpExpect = ANY_2XX
    keep_alive: bool = False
    idle_timeout: IdleTimeout = DEFAULT_IDLE
    max_body_bytes: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_BODY_BYTES})] = DEFAULT_MAX_BODY_BYTES
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        url = parse_url(self.target)
        _plan(self, url.path)
        self.via.check("HttpProbe", url.endpoint)

    def __hash__(self) -> int:
        return hash((self.target, self.method))

    @property
    def endpoint(self) -> Endpoint:
        return parse_url(self.target).endpoint

    def compile(self, host: str, port: int) -> Target:
        url = parse_url(self.target)
        plan = _plan(self, url.path)
        try:
            return Target.http(host, port, plan, url.host_header, route=self.via.route())
        except ValueError:  # of an address that was checked: the interface it is scoped to is gone
            return Target.unresolved(Result.FAIL, Reason.CONNECT_UNREACHABLE)

    def interpret(self, host: str, port: int) -> HttpTarget:
        url = parse_url(self.target)
        # The engine's own words: what is sent does not depend on the lane. Only the address is another's business.
        request = Target.http("127.0.0.1", 80, _plan(self, url.path), url.host_header).request()
        exchange = Exchange(
            request=request,
            head=self.method == "HEAD",
            wish=self.expect.wish(self.max_body_bytes),
            keep_alive=self.keep_alive,
            idle_s=idle_seconds("HttpProbe.idle_timeout", self.idle_timeout),
        )
        return HttpTarget(host, port, exchange, self.via)


def _plan(probe: HttpProbe, path: str) -> HttpPlan:
    """The plan of a probe: found, or made, which checks all its values; so another probe with the same values costs a look."""
    expected = (probe.expect, probe.max_body_bytes)
    key = (probe.method, path, tuple(probe.headers.items()), *expected, probe.keep_alive, probe.idle_timeout)
    plan = _plans.get(key)
    if plan is None:
        plan = _make_plan(probe, path)
        with _plans_lock:  # a reload makes probes on a worker thread while the event loop compiles others
            while len(_plans) >= MAX_PLANS:
                del _plans[next(iter(_plans))]
            _plans[key] = plan
    return plan


def _make_plan(probe: HttpProbe, path: str) -> HttpPlan:
    if probe.method not in {"GET", "HEAD"}:
        raise ConfigError("HttpProbe.method", f"{shown(probe.method)} is not a method of probes", 'use "GET" or "HEAD"')
    if not 0 <= probe.max_body_bytes <= MAX_BODY_BYTES:
        raise ConfigError(
            "HttpProbe.max_body_bytes", f"{probe.max_body_bytes} is not in 0..{MAX_BODY_BYTES}", "choose a number between them"
        )
    if probe.method == "HEAD" and probe.expect.body_contains:
        raise ConfigError("HttpProbe.expect.body_contains", "the answer to HEAD has no body", 'use method = "GET"')
    check_headers("HttpProbe.headers", probe.headers)
    idle_s = idle_seconds("HttpProbe.idle_timeout", probe.idle_timeout)
    try:
        return HttpPlan(
            method=probe.method,
            path=path,
            headers=probe.headers,
            status=probe.expect.status,
            expect_headers={name.lower(): value for name, value in probe.expect.headers.items()},
            body_contains=probe.expect.body_contains.encode(),
            max_body=probe.max_body_bytes,
            keep_alive=probe.keep_alive,
            idle_ms=-(-round(idle_s * 1e6) // 1000),
        )
    except ValueError as error:  # the core's bounds on the whole request
        raise ConfigError("HttpProbe", str(error), "send less") from None


_: type[PortableProbe] = HttpProbe
