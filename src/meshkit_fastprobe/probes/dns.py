"""DNS: a name server answers a question as expected."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from meshkit_fastprobe._native.datagram import MAX_DNS_ANSWERS, DnsPlan
from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.config.durations import DURATION_PATTERN, parse_duration
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason, Result
from meshkit_fastprobe.probes.base import Endpoint, PortableProbe
from meshkit_fastprobe.probes.dns_on_trio import DnsTarget
from meshkit_fastprobe.probes.dns_wire import RCODES, TYPES, NotDnsError, encode_data, encode_name
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import split_host_port
from meshkit_fastprobe.probes.via import ANY_WAY, Via

PORT: Final = 53
MAX_EXPECTED_ANSWERS: Final = MAX_DNS_ANSWERS
MAX_TTL_S: Final = 7 * 86_400.0
_FORMS: Final = {
    "A": "write 192.0.2.1",
    "AAAA": "write 2001:db8::1",
    "CNAME": "write www.example.org",
    "MX": 'write "10 mail.example.org"',
    "NS": "write ns.example.org",
    "PTR": "write host.example.org",
    "SRV": 'write "10 5 443 host.example.org"',
    "TXT": "write a part of its text",
}

RecordType = Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"]
Rcode = Literal["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]


class DnsExpect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What makes an answer good.

    Its response code, how many records of the type there are at least, how long they all live at least, and which are among
    them. A record is written as in a zone file ("10 mail.example.org"); for TXT a part of its text is enough.
    """

    rcode: Rcode = "NOERROR"
    answers: tuple[str, ...] = ()
    min_answers: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_EXPECTED_ANSWERS})] = 1
    min_ttl: Annotated[float | str, Meta(extra_json_schema={"pattern": DURATION_PATTERN, "minimum": 0})] = 0

    def __post_init__(self) -> None:
        if self.rcode not in RCODES:
            raise ConfigError("DnsExpect.rcode", f"{shown(self.rcode)} is not a response code", f"known: {', '.join(RCODES)}")
        if not isinstance(self.answers, tuple):
            msgspec.structs.force_setattr(self, "answers", tuple(self.answers))
        if self.answers and self.rcode != "NOERROR":
            raise ConfigError(
                "DnsExpect.answers", f"a reply of {self.rcode} has no answers", 'remove them, or use rcode = "NOERROR"'
            )
        ttl_s = parse_duration("DnsExpect.min_ttl", self.min_ttl)
        if not 0 <= ttl_s <= MAX_TTL_S:
            raise ConfigError("DnsExpect.min_ttl", f"{shown(self.min_ttl)} is not within 0 and 7d", "expect less")
        for bound, value in (("answers", len(self.answers)), ("min_answers", self.min_answers)):
            if not 0 <= value <= MAX_EXPECTED_ANSWERS:
                raise ConfigError(f"DnsExpect.{bound}", f"{value} is not in 0..{MAX_EXPECTED_ANSWERS}", "expect fewer")


ANY_ANSWER: Final = DnsExpect()


@probe_kind()
class DnsProbe(msgspec.Struct, frozen=True, gc=False):
    """Ask the server `host:port` (53 when left out) for query_name over UDP, and over TCP when that was cut short."""

    kind: ClassVar[str] = "dns"
    target: str
    query_name: str
    query_type: RecordType = "A"
    expect: DnsExpect = ANY_ANSWER
    via: Via = ANY_WAY

    def __post_init__(self) -> None:
        self.via.check("DnsProbe", _server(self.target))
        if self.query_type not in TYPES:
            raise ConfigError(
                "DnsProbe.query_type", f"{shown(self.query_type)} is no type this probe knows", f"known: {', '.join(TYPES)}"
            )
        _name(self.query_name)
        for answer in self.expect.answers:
            _wire(self.query_type, answer)

    @property
    def endpoint(self) -> Endpoint:
        return _server(self.target)

    def compile(self, host: str, port: int) -> Target:
        try:
            return Target.dns(host, port, self._plan(), route=self.via.route())
        except ValueError:  # of an address that was checked: the interface it is scoped to is gone
            return Target.unresolved(Result.FAIL, Reason.CONNECT_UNREACHABLE)

    def interpret(self, host: str, port: int) -> DnsTarget:
        return DnsTarget(host, port, self._plan(), self.via)

    def _plan(self) -> DnsPlan:
        return plan_of(self.query_name, self.query_type, self.expect)


@lru_cache(maxsize=1024)
def plan_of(name: str, query_type: RecordType, expect: DnsExpect) -> DnsPlan:
    """One for all targets that are asked the same."""
    return DnsPlan(
        name=_name(name),
        record_type=TYPES[query_type],
        rcode=RCODES[expect.rcode],
        min_answers=expect.min_answers,
        min_ttl_s=round(parse_duration("DnsExpect.min_ttl", expect.min_ttl)),
        answers=[_wire(query_type, answer) for answer in expect.answers],
    )


def _server(target: str) -> tuple[str, int]:
    without_port = target.endswith("]") or ":" not in target
    return split_host_port("DnsProbe.target", f"{target}:{PORT}" if without_port else target)


def _name(name: str) -> bytes:
    if not name:
        raise ConfigError("DnsProbe.query_name", "an empty name", 'write example.org, or "." for the root')
    try:
        return encode_name(name if name.isascii() else name.encode("idna").decode())
    except (NotDnsError, UnicodeError) as error:
        raise ConfigError("DnsProbe.query_name", f"{shown(name)} is not a domain name: {error}", "write example.org") from None


def _wire(query_type: RecordType, answer: str) -> bytes:
    """An expected record as the bytes it has in a message; of TXT, a part of its text."""
    if query_type == "TXT":
        return answer.encode()
    try:
        return encode_data(TYPES[query_type], answer)
    except NotDnsError as error:
        raise ConfigError(
            "DnsProbe.expect.answers", f"{shown(answer)} is not data of type {query_type}: {error}", _FORMS[query_type]
        ) from None


_: type[PortableProbe] = DnsProbe
