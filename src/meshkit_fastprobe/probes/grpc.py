"""gRPC: the target's grpc.health.v1.Health says that a service is serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

import msgspec
import trio

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes import grpc_message, http2
from meshkit_fastprobe.probes.base import AsyncTarget, Endpoint, TrioProbe
from meshkit_fastprobe.probes.dialing import NOT_CONNECTED_IN_TIME, UNREACHABLE, Address, connect
from meshkit_fastprobe.probes.http_expect import check_headers
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.http_on_trio import NOT_ANSWERED_IN_TIME
from meshkit_fastprobe.probes.keeping import DEFAULT_IDLE, IdleTimeout, Kept, idle_seconds
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.targets import split_host_port, unix_path
from meshkit_fastprobe.probes.tls_settings import Tls, name_for
from meshkit_fastprobe.probes.tls_stream import close_at_once, connect_tls, open_context, shake_hands
from meshkit_fastprobe.probes.via import ANY_WAY, Via

if TYPE_CHECKING:
    from h2.events import Event

MAX_SERVICE_BYTES: Final = 256
MAX_HEADERS: Final = 16
SERVING: Final = 1
SERVICE_UNKNOWN: Final = 3
HTTP_OK: Final = 200

_PATHS: Final = {"check": b"/grpc.health.v1.Health/Check", "watch": b"/grpc.health.v1.Health/Watch"}


@probe_kind()
class GrpcProbe(msgspec.Struct, frozen=True, gc=False):
    """Ask the health service of `host:port` or `unix:/path` for `service` ("" is the whole server).

    method "watch" opens a watch and takes its first word. tls makes it TLS; headers are the metadata of the call.
    """

    kind: ClassVar[str] = "grpc"
    target: str
    service: str = ""
    method: Literal["check", "watch"] = "check"
    headers: dict[str, str] = {}
    keep_alive: bool = False
    idle_timeout: IdleTimeout = DEFAULT_IDLE
    tls: Tls | None = None
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        http2.require("GrpcProbe.target")
        if self.method not in _PATHS:
            raise ConfigError("GrpcProbe.method", f"{shown(self.method)} is not known", 'use "check" or "watch"')
        if len(self.service.encode(errors="surrogatepass")) > MAX_SERVICE_BYTES or not self.service.isprintable():
            raise ConfigError("GrpcProbe.service", f"{shown(self.service)} is no name", f"at most {MAX_SERVICE_BYTES} bytes")
        if len(self.headers) > MAX_HEADERS:
            raise ConfigError("GrpcProbe.headers", f"{len(self.headers)} headers; the bound is {MAX_HEADERS}", "send fewer")
        check_headers("GrpcProbe.headers", self.headers)
        idle_seconds("GrpcProbe.idle_timeout", self.idle_timeout)
        if reserved := [name for name in self.headers if name.lower().startswith("grpc-")]:
            raise ConfigError("GrpcProbe.headers", f"{shown(reserved[0])} belongs to gRPC itself", "choose another name")
        self.via.check("GrpcProbe", self.endpoint)

    def __hash__(self) -> int:
        return hash((self.target, self.service, self.method))

    @property
    def endpoint(self) -> Endpoint:
        if self.target.startswith("unix:"):
            return unix_path("GrpcProbe.target", self.target.removeprefix("unix:"))
        return split_host_port("GrpcProbe.target", self.target)

    def interpret(self, host: str, port: int) -> GrpcTarget:
        return GrpcTarget(self, host, port)

    @property
    def authority(self) -> str:
        """What the request names as its host."""
        if self.tls and self.tls.server_name:
            return self.tls.server_name
        return "localhost" if self.target.startswith("unix:") else self.target

    def request_headers(self) -> http2.Headers:
        return [
            (b":method", b"POST"),
            (b":scheme", b"https" if self.tls else b"http"),
            (b":path", _PATHS[self.method]),
            (b":authority", self.authority.encode("ascii" if self.authority.isascii() else "idna")),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"grpc-meshkit-fastprobe"),
            *((name.lower().encode(), value.encode()) for name, value in self.headers.items()),
        ]


class Call:
    """What comes back for one call, judged as it arrives."""

    def __init__(self, probe: GrpcProbe) -> None:
        self._watches = probe.method == "watch"
        self._service = probe.service
        self._frames = grpc_message.Frames()
        self._message: bytes | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        """Of the answer, then its trailers."""
        self.http_status = 0

    def take(self, event: Event) -> Outcome | None:
        """The verdict, once it is known."""
        from h2 import events

        match event:
            case events.ResponseReceived():
                self.headers = list(event.headers or ())
                return self._headers(dict(self.headers))
            case events.DataReceived() if self._message is None:
                try:
                    self._message = self._frames.take(event.data or b"")
                except grpc_message.MessageError as error:
                    return Outcome.fail(str(error), reason=Reason.GRPC_PROTOCOL)
                if self._watches and self._message is not None:  # a watch says no more until something changes
                    return self._judge(self._message)
            case events.TrailersReceived():
                self.headers += event.headers or ()
                return self._end(dict(event.headers or ()))
            case events.StreamEnded():
                return Outcome.fail("the call ended without a status", reason=Reason.GRPC_PROTOCOL)
        return None

    def _headers(self, headers: dict[bytes, bytes]) -> Outcome | None:
        self.http_status = int(headers.get(b":status", b"0"))
        if self.http_status != HTTP_OK:
            return Outcome.fail("no gRPC answers there", reason=Reason.HTTP_STATUS, detail=self.http_status)
        if not headers.get(b"content-type", b"").startswith(b"application/grpc"):
            return Outcome.fail("the answer is not gRPC", reason=Reason.GRPC_PROTOCOL)
        return self._end(headers) if b"grpc-status" in headers else None

    def _end(self, trailers: dict[bytes, bytes]) -> Outcome:
        digits = trailers.get(b"grpc-status", b"")
        if not digits.isdigit() or len(digits) > 4:
            return Outcome.fail("the call ended without a status", reason=Reason.GRPC_PROTOCOL)
        code = int(digits)
        if code == grpc_message.NOT_FOUND:
            return Outcome.fail(shown(self._service), reason=Reason.GRPC_UNKNOWN_SERVICE, detail=code)
        if code:
            name = grpc_message.CODES[code] if code < len(grpc_message.CODES) else f"status {code}"
            return Outcome.fail(name, reason=Reason.GRPC_STATUS, detail=code)
        if self._message is None:
            return Outcome.fail("the call ended well, and without an answer", reason=Reason.GRPC_PROTOCOL)
        return self._judge(self._message)

    def _judge(self, message: bytes) -> Outcome:
        try:
            status = grpc_message.status(message)
        except grpc_message.MessageError as error:
            return Outcome.fail(str(error), reason=Reason.GRPC_PROTOCOL)
        if status == SERVING:
            return Outcome()
        if status == SERVICE_UNKNOWN:
            return Outcome.fail(shown(self._service), reason=Reason.GRPC_UNKNOWN_SERVICE)
        names = grpc_message.STATUS_NAMES
        return Outcome.fail(
            names[status] if status < len(names) else f"status {status}",
            reason=Reason.GRPC_NOT_SERVING,
            detail=min(status, 65535),
        )


class GrpcTarget:
    """Connect and call; keep the connection for the next run where that was asked for."""

    def __init__(self, probe: GrpcProbe, host: str, port: int) -> None:
        self._probe = probe
        self._headers = probe.request_headers()
        self._request = grpc_message.request(probe.service)
        self._kept: Kept[http2.Http2] = Kept(idle_seconds("GrpcProbe.idle_timeout", probe.idle_timeout))
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
        outcome = await self._call_kept() or await self._call_afresh(self._address)
        phases = self.seen.phases
        return msgspec.structs.replace(outcome, latency_s=phases.total_s, phases=phases)

    def close(self) -> None:
        self._kept.close()

    async def _call_kept(self) -> Outcome | None:
        """The verdict over the kept connection; None where there is none, or where it had died since."""
        connection = self._kept.take()
        if connection is None:
            return None
        self._connected = True
        self.seen.kept(connection.socket)
        try:
            return await self._call(connection)
        except Broken as broken:
            # Servers end idle connections when they like: once more, on a fresh one.
            return broken.outcome if connection.begun else None

    async def _call_afresh(self, address: Address) -> Outcome:
        self._connected = False
        connection = await self._open(address)
        if isinstance(connection, Outcome):
            return connection
        try:
            return await self._call(connection)
        except Broken as broken:
            return broken.outcome

    async def _open(self, address: Address) -> http2.Http2 | Outcome:
        if self._probe.tls is not None:
            return await self._open_tls(address, self._probe.tls)
        connected = await connect(address, self._probe.via)
        if isinstance(connected, Outcome):
            return connected
        self._connected = True
        self.seen.connected(connected)
        return http2.Http2(trio.SocketStream(trio.socket.from_stdlib_socket(connected)))

    async def _open_tls(self, address: Address, tls: Tls) -> http2.Http2 | Outcome:
        context = open_context(tls, ("h2",))
        if isinstance(context, Outcome):
            return context
        endpoint = self._probe.endpoint
        host = "localhost" if isinstance(endpoint, str) else endpoint[0]
        stream = await connect_tls(address, self._probe.via, context, name_for(tls, host))
        if isinstance(stream, Outcome):
            return stream
        self._connected = True
        self.seen.connected(stream.transport_stream.socket)
        try:
            refusal = await shake_hands(stream)
        except BaseException:
            close_at_once(stream)
            raise
        self.seen.shook_hands()
        if refusal is None and stream.selected_alpn_protocol() != "h2":
            refusal = Outcome.fail("the target did not choose h2", reason=Reason.TLS_ALPN)
        if refusal is not None:
            close_at_once(stream)
            return refusal
        return http2.Http2(stream)

    async def _call(self, connection: http2.Http2) -> Outcome:
        """One call and its verdict. A watch goes on, so its connection is not kept."""
        keep = False
        try:
            call = Call(self._probe)
            await connection.ask(self._headers, self._request)
            while True:
                for event in await connection.events():
                    self.seen.heard()
                    outcome = call.take(event)
                    if call.headers:
                        self.seen.answered(call.http_status, call.headers)
                    if outcome is not None:
                        ended = outcome.result is Result.OK and self._probe.method == "check"
                        keep = self._probe.keep_alive and ended and connection.reusable
                        return outcome
        finally:
            if keep:
                self._kept.put(connection)
            else:
                connection.close()


_: type[TrioProbe] = GrpcProbe
_target: type[AsyncTarget] = GrpcTarget
