"""TLS: the target completes a handshake, with a certificate that is trusted, for its name, and not about to expire."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import AsyncTarget, Endpoint, TrioProbe
from meshkit_fastprobe.probes.dialing import NOT_CONNECTED_IN_TIME, UNREACHABLE, Address
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.targets import split_host_port
from meshkit_fastprobe.probes.tls_settings import ANY_TLS, Tls, check_alpn, name_for
from meshkit_fastprobe.probes.tls_stream import Stream, close_at_once, connect_tls, hear_out, open_context, shake_hands
from meshkit_fastprobe.probes.via import ANY_WAY, Via

PORT: Final = 443
MAX_WARNING_DAYS: Final = 3650
DAY_S: Final = 86400
MAX_DETAIL: Final = 65535
NOT_SHAKEN_IN_TIME: Final = Outcome(Result.TIMEOUT, Reason.RESPONSE_TIMEOUT, "no whole handshake in time")


@probe_kind()
class TlsProbe(msgspec.Struct, frozen=True, gc=False):
    """Complete a TLS handshake with `host:port` (443 when left out), look at the certificate, and close.

    A certificate with less than expiring_days days left is degraded; 0 switches that off. alpn: protocols that are offered, one
    of which the target must choose. No session is kept or resumed, so each run sees the certificate that is served now.
    """

    kind: ClassVar[str] = "tls"
    target: str
    expiring_days: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_WARNING_DAYS})] = 14
    alpn: tuple[str, ...] = ()
    tls: Tls = ANY_TLS
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        if not isinstance(self.alpn, tuple):
            msgspec.structs.force_setattr(self, "alpn", tuple(self.alpn))
        if not 0 <= self.expiring_days <= MAX_WARNING_DAYS:
            raise ConfigError(
                "TlsProbe.expiring_days", f"{shown(self.expiring_days)} is not in 0..{MAX_WARNING_DAYS}", "choose one between"
            )
        check_alpn("TlsProbe.alpn", self.alpn)
        self.via.check("TlsProbe", self.endpoint)

    @property
    def endpoint(self) -> Endpoint:
        without_port = self.target.endswith("]") or ":" not in self.target
        return split_host_port("TlsProbe.target", f"{self.target}:{PORT}" if without_port else self.target)

    def interpret(self, host: str, port: int) -> TlsTarget:
        return TlsTarget(self, host, port)


class TlsTarget:
    """One probe at one address. Nothing is kept between runs but the settings."""

    def __init__(self, probe: TlsProbe, host: str, port: int) -> None:
        self._probe = probe
        self._server_name = name_for(probe.tls, probe.endpoint[0])
        self._connected = False
        self.seen = Seen()
        try:
            self._address: Address | None = Address(host, port)
        except OSError:  # of an address that was checked: the interface it is scoped to is gone
            self._address = None

    @property
    def timed_out(self) -> Outcome:
        return NOT_SHAKEN_IN_TIME if self._connected else NOT_CONNECTED_IN_TIME

    async def check(self) -> Outcome:
        self._connected = False
        self.seen.begin()
        if self._address is None:
            return UNREACHABLE
        context = open_context(self._probe.tls, self._probe.alpn)
        if isinstance(context, Outcome):
            return context
        self.seen.begin()  # files were read
        stream = await connect_tls(self._address, self._probe.via, context, self._server_name)
        if isinstance(stream, Outcome):
            return stream
        try:
            self._connected = True
            self.seen.connected(stream.transport_stream.socket)
            refusal = await shake_hands(stream)
            if refusal is not None:
                return msgspec.structs.replace(refusal, phases=self.seen.phases)
            self.seen.shook_hands()
            phases = self.seen.phases
            agreed, facts = stream.selected_alpn_protocol(), facts_of(stream)
            found = judge(self._probe, stream.version() or "", agreed, stream.getpeercert() or {}, time.time())
            if stream.transport_stream.asked and stream.version() == "TLSv1.3":
                found = await hear_out(stream) or found
            return msgspec.structs.replace(found, latency_s=phases.tls_s, phases=phases, facts=facts)
        finally:
            close_at_once(stream)

    def close(self) -> None:
        """Nothing is kept."""


def facts_of(stream: Stream) -> tuple[tuple[str, str], ...]:
    """What a person wants to see of a handshake that came about."""
    certificate: Mapping[str, Any] = stream.getpeercert() or {}
    cipher = stream.cipher()
    told = {
        "version": stream.version(),
        "cipher": cipher[0] if cipher else None,
        "protocol": stream.selected_alpn_protocol(),
        "names": ", ".join(name[1] for name in certificate.get("subjectAltName", ())),
        "expires": certificate.get("notAfter"),
    }
    return tuple((name, str(value)) for name, value in told.items() if value)


def judge(probe: TlsProbe, version: str, protocol: str | None, certificate: Mapping[str, Any], now_s: float) -> Outcome:
    """Whether a protocol was agreed on, and how long the certificate is good, once the handshake is done.

    detail is the number of whole days that are left. certificate is what `getpeercert` gives: empty when none was verified.
    """
    if probe.alpn and protocol not in probe.alpn:
        return Outcome.fail(f"none of {', '.join(probe.alpn)} was chosen", reason=Reason.TLS_ALPN)
    words = f"{version}, {protocol}" if protocol else version
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        return Outcome.ok(words)
    left_s = ssl.cert_time_to_seconds(ends) - now_s
    days = min(max(0, int(left_s // DAY_S)), MAX_DETAIL)
    if left_s < probe.expiring_days * DAY_S:
        return Outcome.degraded(f"the certificate expires in {days} days, {ends}", reason=Reason.TLS_EXPIRING, detail=days)
    return Outcome(message=f"{words}, {days} days left", detail=days)


_: type[TrioProbe] = TlsProbe
_target: type[AsyncTarget] = TlsTarget
