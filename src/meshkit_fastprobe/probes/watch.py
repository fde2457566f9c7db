"""watch: a stream of server-sent events stands, says something in time, and goes on where it was left."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec
import trio
from msgspec import Meta

from meshkit_fastprobe._native.target import HttpPlan, Target
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import AsyncTarget, Endpoint, TrioProbe
from meshkit_fastprobe.probes.dialing import NOT_CONNECTED_IN_TIME, UNREACHABLE, Address, connect
from meshkit_fastprobe.probes.event_stream import EventStream
from meshkit_fastprobe.probes.http_expect import check_headers
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.http_on_trio import NOT_ANSWERED_IN_TIME
from meshkit_fastprobe.probes.http_url import Url, parse_https_url, parse_url
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.tls_settings import ANY_TLS, Tls, name_for
from meshkit_fastprobe.probes.tls_stream import Stream, close_at_once, connect_tls, open_context, shake_hands
from meshkit_fastprobe.probes.via import ANY_WAY, Via
from meshkit_fastprobe.probes.watch_stream import WatchStream

MIN_HEARTBEAT_S: Final = 0.1
MAX_HEARTBEAT_S: Final = 86400.0
MAX_DETAIL: Final = 65535


@probe_kind()
class WatchProbe(msgspec.Struct, frozen=True, gc=False):
    """Hold a stream open at an http or https URL, and look at each run whether it still says something.

    heartbeat_s: how long it may say nothing, comments included. resume "token": each run reconnects with the last `id:` as
    Last-Event-ID, which must be taken and not be answered by the same event again; "gapless": and whole numbers go on by one.
    """

    kind: ClassVar[str] = "watch"
    target: str
    heartbeat_s: Annotated[float, Meta(extra_json_schema={"minimum": MIN_HEARTBEAT_S, "maximum": MAX_HEARTBEAT_S})] = 30.0
    resume: Literal["off", "token", "gapless"] = "off"
    headers: dict[str, str] = {}
    tls: Tls = ANY_TLS
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        endpoint = self.url.endpoint
        if not MIN_HEARTBEAT_S <= self.heartbeat_s <= MAX_HEARTBEAT_S:
            raise ConfigError(
                "WatchProbe.heartbeat_s",
                f"{shown(self.heartbeat_s)} is not in {MIN_HEARTBEAT_S:g}..{MAX_HEARTBEAT_S:g}",
                "choose seconds between them",
            )
        if self.resume not in {"off", "token", "gapless"}:
            raise ConfigError("WatchProbe.resume", f"{shown(self.resume)} is not known", 'use "off", "token" or "gapless"')
        check_headers("WatchProbe.headers", self.headers)
        if any(name.lower() == "last-event-id" for name in self.headers):
            raise ConfigError("WatchProbe.headers", "last-event-id is the probe's own", 'use resume = "token"')
        self.via.check("WatchProbe", endpoint)
        self.request()

    def __hash__(self) -> int:
        return hash((self.target, self.heartbeat_s))

    @property
    def is_secure(self) -> bool:
        return self.target[:8].lower() == "https://"

    @property
    def url(self) -> Url:
        try:
            return parse_https_url(self.target) if self.is_secure else parse_url(self.target)
        except ConfigError as error:
            raise ConfigError("WatchProbe.target", error.problem, error.fix) from None

    @property
    def endpoint(self) -> Endpoint:
        return self.url.endpoint

    def request(self, token: str = "") -> bytes:
        """In the engine's own words, as those of the http kind are."""
        url = self.url
        headers = {"accept": "text/event-stream", "cache-control": "no-cache", **self.headers}
        if token:
            headers["last-event-id"] = token
        try:
            plan = HttpPlan(
                method="GET",
                path=url.path,
                headers=headers,
                status=(),
                expect_headers={},
                body_contains=b"",
                max_body=0,
                keep_alive=True,
            )
            return Target.http("127.0.0.1", 80, plan, url.host_header).request()
        except ValueError as error:  # the core's bounds on the whole request
            raise ConfigError("WatchProbe", str(error), "send less") from None

    def interpret(self, host: str, port: int) -> WatchTarget:
        return WatchTarget(self, host, port)


class WatchTarget:
    """One stream at a time, except while a new one takes over from the old."""

    def __init__(self, probe: WatchProbe, host: str, port: int) -> None:
        self._probe = probe
        self._stream: WatchStream | None = None
        self._token = ""
        self._heard_s: float | None = None
        self._connected = False
        self.seen = Seen()
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
        await trio.lowlevel.checkpoint()
        fault = self._look_back()
        refusal = await self._take_over(self._address) if self._wants_another() else None
        outcome = refusal or fault or Outcome(facts=self._facts())
        phases = self.seen.phases
        return msgspec.structs.replace(outcome, latency_s=phases.total_s, phases=phases)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _look_back(self) -> Outcome | None:
        """What went wrong since the run before. A stream that spoke and was ended is opened again, as clients do."""
        stream = self._stream
        if stream is None:
            self._heard_s = None
            return None
        if stream.lines:
            self._token, self._heard_s = stream.token, stream.heard_s
        if stream.gap:
            return Outcome.fail(stream.gap, reason=Reason.STREAM_RESUME)
        if stream.ended is not None:
            spoke = stream.lines and stream.ended.reason in {Reason.RESPONSE_CLOSED, Reason.RESPONSE_RESET}
            self._heard_s = None
            return None if spoke else stream.ended
        if self._heard_s is None:
            self._heard_s = stream.opened_s
        silent_s = trio.current_time() - self._heard_s
        if silent_s <= self._probe.heartbeat_s:
            return None
        return Outcome.fail(f"nothing for {silent_s:.1f} s", reason=Reason.STREAM_SILENT, detail=min(int(silent_s), MAX_DETAIL))

    def _wants_another(self) -> bool:
        """Whether this run connects. A new stream has its time to say something: it is not replaced before."""
        stream = self._stream
        if stream is None or stream.ended is not None or stream.gap:
            return True
        if trio.current_time() - max(stream.opened_s, stream.heard_s) > self._probe.heartbeat_s:
            return True  # it may be half open, which looks the same
        return self._probe.resume != "off" and bool(self._token and stream.lines)

    async def _take_over(self, address: Address) -> Outcome | None:
        """Open a stream from where the last one was left, and only then let that one go."""
        token = self._token if self._probe.resume != "off" else ""
        fault = None
        opened = await self._open(address, token)
        if token and isinstance(opened, Outcome) and opened.reason in {Reason.HTTP_STATUS, Reason.HEADER_MISMATCH}:
            fault = msgspec.structs.replace(opened, reason=Reason.STREAM_RESUME, message="the token was refused")
            self._token = ""
            opened = await self._open(address, "")
        self.close()
        if isinstance(opened, Outcome):
            return opened
        self._stream = opened
        return fault

    def _facts(self) -> tuple[tuple[str, str], ...]:
        assert self._stream is not None
        open_s = trio.current_time() - self._stream.opened_s
        return (("open_s", f"{open_s:.1f}"), ("token", self._stream.token))

    async def _open(self, address: Address, token: str) -> WatchStream | Outcome:
        self._connected = False
        wire = await self._connect(address)
        if isinstance(wire, Outcome):
            return wire
        stream = WatchStream(wire, EventStream(token, gapless=self._probe.resume == "gapless"))
        stands = False
        try:
            refusal = await stream.open(self._probe.request(token))
            self.seen.heard()
            stands = refusal is None
        except Broken as broken:
            refusal = broken.outcome
        finally:
            self.seen.answered(stream.status, stream.headers)
            if not stands:
                stream.close()
        return refusal or stream

    async def _connect(self, address: Address) -> Stream | trio.SocketStream | Outcome:
        if self._probe.is_secure:
            return await self._connect_tls(address)
        connected = await connect(address, self._probe.via)
        if isinstance(connected, Outcome):
            return connected
        self._connected = True
        self.seen.connected(connected)
        return trio.SocketStream(trio.socket.from_stdlib_socket(connected))

    async def _connect_tls(self, address: Address) -> Stream | Outcome:
        context = open_context(self._probe.tls, ("http/1.1",))
        if isinstance(context, Outcome):
            return context
        name = name_for(self._probe.tls, self._probe.endpoint[0])
        stream = await connect_tls(address, self._probe.via, context, name)
        if isinstance(stream, Outcome):
            return stream
        self._connected = True
        self.seen.connected(stream.transport_stream.socket)
        refusal: Outcome | None = Outcome(Result.TIMEOUT, Reason.RESPONSE_TIMEOUT)  # of a run that is cut here
        try:
            refusal = await shake_hands(stream)
            self.seen.shook_hands()
        finally:
            if refusal is not None:
                close_at_once(stream)
        return refusal or stream


_: type[TrioProbe] = WatchProbe
_target: type[AsyncTarget] = WatchTarget
