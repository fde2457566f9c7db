"""HTTPS: the target answers a request over TLS as expected, by HTTP/1.1, HTTP/2 or HTTP/3."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import urljoin

import msgspec
from msgspec import Meta

from meshkit_fastprobe._native.target import HttpPlan, Target
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes import http2, http3
from meshkit_fastprobe.probes.base import AsyncTarget, Endpoint, TrioProbe
from meshkit_fastprobe.probes.dialing import NOT_CONNECTED_IN_TIME, UNREACHABLE, Address
from meshkit_fastprobe.probes.http_expect import ANY_2XX, DEFAULT_MAX_BODY_BYTES, MAX_BODY_BYTES, HttpExpect, check_headers
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.http_on_trio import NOT_ANSWERED_IN_TIME, Exchange
from meshkit_fastprobe.probes.http_url import parse_https_url
from meshkit_fastprobe.probes.https_carriers import Carrier, OverHttp1, OverHttp2
from meshkit_fastprobe.probes.keeping import DEFAULT_IDLE, IdleTimeout, Kept, idle_seconds
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.tls_settings import ANY_TLS, Tls, name_for
from meshkit_fastprobe.probes.tls_stream import Stream, close_at_once, connect_tls, open_context, shake_hands
from meshkit_fastprobe.probes.via import ANY_WAY, Via

MAX_REDIRECTS: Final = 10
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

CANCELLED: Final = Outcome(Result.TIMEOUT, Reason.RESPONSE_TIMEOUT)

_OFFERS: Final = {"1.1": ("http/1.1",), "2": ("h2",)}


@probe_kind()
class HttpsProbe(msgspec.Struct, frozen=True, gc=False):
    """GET or HEAD `https://host:port/path`, on a new connection unless keep_alive.

    version "auto" takes what the target chooses of HTTP/2 (where it is installed) and HTTP/1.1. "3" asks by HTTP/3, and where
    nobody answers over QUIC as "auto" does, which is degraded then. max_redirects: how many
    redirects within the same origin are followed; others are answers like any other.
    """

    kind: ClassVar[str] = "https"
    target: str
    method: Literal["GET", "HEAD"] = "GET"
    version: Literal["auto", "1.1", "2", "3"] = "auto"
    headers: dict[str, str] = {}
    expect: HttpExpect = ANY_2XX
    keep_alive: bool = False
    idle_timeout: IdleTimeout = DEFAULT_IDLE
    max_redirects: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_REDIRECTS})] = 0
    max_body_bytes: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_BODY_BYTES})] = DEFAULT_MAX_BODY_BYTES
    tls: Tls = ANY_TLS
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        url = parse_https_url(self.target)
        if self.method not in {"GET", "HEAD"}:
            raise ConfigError("HttpsProbe.method", f"{shown(self.method)} is not a method of probes", 'use "GET" or "HEAD"')
        if self.version not in {"auto", "3", *_OFFERS}:
            raise ConfigError("HttpsProbe.version", f"{shown(self.version)} is not known", 'use "auto", "1.1", "2" or "3"')
        if self.version == "2":
            http2.require("HttpsProbe.version")
        if self.version == "3":
            http3.require("HttpsProbe.version")
            if self.keep_alive:
                raise ConfigError("HttpsProbe.keep_alive", "by HTTP/3 each run connects anew", "leave it out")
        for key, value, most in (
            ("max_redirects", self.max_redirects, MAX_REDIRECTS),
            ("max_body_bytes", self.max_body_bytes, MAX_BODY_BYTES),
        ):
            if not 0 <= value <= most:
                raise ConfigError(f"HttpsProbe.{key}", f"{value} is not in 0..{most}", "choose a number between them")
        if self.method == "HEAD" and self.expect.body_contains:
            raise ConfigError("HttpsProbe.expect.body_contains", "the answer to HEAD has no body", 'use method = "GET"')
        check_headers("HttpsProbe.headers", self.headers)
        idle_seconds("HttpsProbe.idle_timeout", self.idle_timeout)
        _exchange(self, url.path)
        self.via.check("HttpsProbe", url.endpoint)

    def __hash__(self) -> int:
        return hash((self.target, self.method))

    @property
    def endpoint(self) -> Endpoint:
        return parse_https_url(self.target).endpoint

    @property
    def offers(self) -> tuple[str, ...]:
        """Protocols for ALPN, the preferred one first."""
        return _OFFERS.get(self.version) or (("h2", "http/1.1") if http2.is_installed() else ("http/1.1",))

    def interpret(self, host: str, port: int) -> HttpsTarget:
        return HttpsTarget(self, host, port)


def _exchange(probe: HttpsProbe, path: str) -> Exchange:
    """The request for a path in the engine's own words, so that they are those of the http kind."""
    try:
        plan = HttpPlan(
            method=probe.method,
            path=path,
            headers=probe.headers,
            status=(),
            expect_headers={},
            body_contains=b"",
            max_body=0,
            keep_alive=probe.keep_alive,
        )
        request = Target.http("127.0.0.1", 80, plan, parse_https_url(probe.target).host_header).request()
    except ValueError as error:  # the core's bounds on the whole request
        raise ConfigError("HttpsProbe", str(error), "send less") from None
    wish = probe.expect.wish(probe.max_body_bytes)
    return Exchange(
        request=request,
        head=probe.method == "HEAD",
        wish=wish,
        keep_alive=probe.keep_alive,
        idle_s=idle_seconds("HttpsProbe.idle_timeout", probe.idle_timeout),
    )


def downgraded(outcome: Outcome, silence: Outcome | None) -> Outcome:
    """What an answer is worth that came by TCP because nobody answered over QUIC: both are told."""
    if silence is None:
        return outcome
    facts = (*outcome.facts, ("http3", str(silence.reason)))
    if outcome.result is not Result.OK:
        return msgspec.structs.replace(outcome, facts=facts)
    words = f"{dict(facts).get('protocol', 'TCP')} answered, HTTP/3 did not: {silence.reason}"
    return msgspec.structs.replace(outcome, result=Result.DEGRADED, reason=Reason.HTTP_DOWNGRADE, message=words, facts=facts)


class HttpsTarget:
    """Connect, shake hands, ask, and judge; keep the connection for the next run where that was asked for."""

    def __init__(self, probe: HttpsProbe, host: str, port: int) -> None:
        self._probe = probe
        url = parse_https_url(probe.target)
        self._exchange = _exchange(probe, url.path)
        self._server_name = name_for(probe.tls, url.endpoint[0])
        self._kept: Kept[Carrier] = Kept(self._exchange.idle_s)
        self._connected = False
        self.seen = Seen()
        self._silence: Outcome | None = None  # what came of HTTP/3 in this run, where nobody answered
        try:
            self._address: Address | None = Address(host, port)
        except OSError:  # of an address that was checked: the interface it is scoped to is gone
            self._address = None

    @property
    def timed_out(self) -> Outcome:
        return NOT_ANSWERED_IN_TIME if self._connected else NOT_CONNECTED_IN_TIME

    async def check(self) -> Outcome:
        self.seen.begin()
        if self._address is None:
            return UNREACHABLE
        self._silence = None
        outcome = downgraded(await self._follow(self._address), self._silence)
        phases = self.seen.phases
        return msgspec.structs.replace(outcome, latency_s=phases.total_s, phases=phases)

    def close(self) -> None:
        self._kept.close()

    async def _follow(self, address: Address) -> Outcome:
        """Ask, and ask again where a redirect leads, as far as that is wanted."""
        exchange, url = self._exchange, self._probe.target
        for _ in range(self._probe.max_redirects + 1):
            self.seen.asked()
            outcome = await self._ask_kept(exchange) or await self._ask_afresh(address, exchange)
            status = self.seen.status
            if not self._probe.max_redirects or outcome.reason is not Reason.HTTP_STATUS or status not in REDIRECTS:
                return outcome
            url = urljoin(url, self.seen.header(b"location").decode("latin-1"))
            path = self._path_within_origin(url)
            if path is None:
                return Outcome.fail("to another host", reason=Reason.HTTP_REDIRECT, detail=status)
            exchange = _exchange(self._probe, path)
        return Outcome.fail(f"more than {self._probe.max_redirects} times", reason=Reason.HTTP_REDIRECT, detail=status)

    async def _ask_kept(self, exchange: Exchange) -> Outcome | None:
        """The verdict over the kept connection; None where there is none, or where it had died since."""
        carrier = self._kept.take()
        if carrier is None:
            return None
        self._connected = True
        self.seen.kept(carrier.socket)
        try:
            return await self._ask(carrier, exchange)
        except Broken as broken:
            # Servers close idle connections when they like: once more, on a fresh one.
            return broken.outcome if carrier.begun else None

    async def _ask_afresh(self, address: Address, exchange: Exchange) -> Outcome:
        self._connected = False
        carrier: Carrier | Outcome | None = None
        if self._probe.version == "3" and self._silence is None:
            carrier = await self._open_quic(address)
        if carrier is None:
            carrier = await self._open_tls(address)
        if isinstance(carrier, Outcome):
            return carrier
        try:
            return await self._ask(carrier, exchange)
        except Broken as broken:
            return broken.outcome

    async def _open_quic(self, address: Address) -> Carrier | Outcome | None:
        """None where nobody answers."""
        carrier = await http3.open_carrier(address, self._probe.via, self._probe.tls, self._server_name)
        if isinstance(carrier, Outcome):
            if carrier.reason not in http3.SILENT:
                return carrier
            self._silence = carrier
            return None
        self._connected = True
        self.seen.connected(carrier.socket)  # QUIC shakes hands while it connects
        self.seen.shook_hands()
        return carrier

    async def _open_tls(self, address: Address) -> Carrier | Outcome:
        context = open_context(self._probe.tls, self._probe.offers)
        if isinstance(context, Outcome):
            return context
        stream = await connect_tls(address, self._probe.via, context, self._server_name)
        if isinstance(stream, Outcome):
            return stream
        return await self._shake_hands(stream)

    async def _shake_hands(self, stream: Stream) -> Carrier | Outcome:
        """What carries requests from now on, or why nothing does; then the stream is closed."""
        self._connected = True
        self.seen.connected(stream.transport_stream.socket)
        refusal: Outcome | None = CANCELLED
        try:
            refusal = await shake_hands(stream)
            self.seen.shook_hands()
            agreed = stream.selected_alpn_protocol() if refusal is None else None
            if refusal is None and self._probe.version == "2" and agreed != "h2":
                refusal = Outcome.fail("the target did not choose h2", reason=Reason.TLS_ALPN)
        finally:
            if refusal is not None:
                close_at_once(stream)
        if refusal is not None:
            return refusal
        return OverHttp2(stream) if agreed == "h2" else OverHttp1(stream)

    async def _ask(self, carrier: Carrier, exchange: Exchange) -> Outcome:
        keep = False
        try:
            outcome = await carrier.ask(exchange, self.seen)
            keep = self._probe.keep_alive and carrier.reusable and outcome.result is Result.OK
            return msgspec.structs.replace(outcome, facts=(("protocol", carrier.version),))
        finally:
            if keep:
                self._kept.put(carrier)
            else:
                carrier.close()

    def _path_within_origin(self, url: str) -> str | None:
        """A redirect leads no request, and no header with a secret, to a target that nobody named."""
        try:
            found = parse_https_url(url.partition("#")[0])
        except ConfigError:
            return None
        return found.path if found.endpoint == self._probe.endpoint else None


_: type[TrioProbe] = HttpsProbe
_target: type[AsyncTarget] = HttpsTarget
