"""DNS: a name server answers a question as expected."""

from __future__ import annotations

import ipaddress
import secrets
import time
from typing import Annotated, ClassVar, Final, Literal

import msgspec
import trio
from msgspec import Meta

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes import dns_message
from meshkit_fastprobe.probes.base import AsyncProbe
from meshkit_fastprobe.probes.dns_message import RCODE_NAMES, RCODES, TYPES, Message, MessageError, Question
from meshkit_fastprobe.probes.registry import probe_kind
from meshkit_fastprobe.probes.targets import split_host_port

PORT: Final = 53
MAX_UDP_BYTES: Final = 4096
"""Without EDNS an answer has at most 512; a server that sends more is read all the same."""
MAX_EXPECTED_ANSWERS: Final = 32

RecordType = Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"]
Rcode = Literal["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]


class DnsExpect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What makes an answer good: its response code, how many records of the type there are at least, and which are among them.

    A record is written as in a zone file ("10 mail.example.org"); for TXT a part of its text is enough.
    """

    rcode: Rcode = "NOERROR"
    answers: tuple[str, ...] = ()
    min_answers: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_EXPECTED_ANSWERS})] = 1

    def __post_init__(self) -> None:
        if self.rcode not in RCODES:
            raise ConfigError("DnsExpect.rcode", f"{shown(self.rcode)} is not a response code", f"known: {', '.join(RCODES)}")
        if not isinstance(self.answers, tuple):
            msgspec.structs.force_setattr(self, "answers", tuple(self.answers))
        if self.answers and self.rcode != "NOERROR":
            raise ConfigError(
                "DnsExpect.answers", f"a reply of {self.rcode} has no answers", 'remove them, or use rcode = "NOERROR"'
            )
        for bound, value in (("answers", len(self.answers)), ("min_answers", self.min_answers)):
            if not 0 <= value <= MAX_EXPECTED_ANSWERS:
                raise ConfigError(f"DnsExpect.{bound}", f"{value} is not in 0..{MAX_EXPECTED_ANSWERS}", "expect fewer")


ANY_ANSWER: Final = DnsExpect()


@probe_kind()
class DnsProbe(msgspec.Struct, frozen=True, gc=False):
    """Ask the server `host:port` (53 when left out) for query_name over UDP, and over TCP when that was cut short."""

    kind: ClassVar[str] = "dns"
    timed_out: ClassVar[Outcome] = Outcome(Result.TIMEOUT, Reason.DNS_TIMEOUT)
    target: str
    query_name: str
    query_type: RecordType = "A"
    expect: DnsExpect = ANY_ANSWER

    def __post_init__(self) -> None:
        _server(self.target)
        if self.query_type not in TYPES:
            raise ConfigError(
                "DnsProbe.query_type", f"{shown(self.query_type)} is no type this probe knows", f"known: {', '.join(TYPES)}"
            )
        _question(self.query_name, self.query_type)
        for answer in self.expect.answers:
            _comparable(self.query_type, answer)

    async def check(self) -> Outcome | None:
        host, port = _server(self.target)
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_DGRAM)
        question = _question(self.query_name, self.query_type)
        asked = dns_message.query(secrets.randbits(16), question)
        started_ns = time.monotonic_ns()
        try:
            answer = await _ask_over_udp(found[0][4], found[0][0], asked)
            if answer.truncated:
                answer = await _ask_over_tcp(found[0][4], found[0][0], asked)
        except MessageError as error:
            outcome = Outcome.fail(str(error), reason=Reason.DNS_PROTOCOL)
        except EOFError:
            outcome = Outcome(Result.FAIL, Reason.RESPONSE_CLOSED)
        else:
            outcome = judge(answer, self.query_type, self.expect)
        return msgspec.structs.replace(outcome, latency_s=(time.monotonic_ns() - started_ns) / 1e9)


def judge(answer: Message, query_type: RecordType, expect: DnsExpect) -> Outcome:
    """Whether an answer is the expected one, and if not, why."""
    rcode = RCODE_NAMES.get(answer.rcode, f"response code {answer.rcode}")
    if rcode != expect.rcode:
        reason = Reason.DNS_MISMATCH
        if expect.rcode == "NOERROR":
            reason = Reason.DNS_NXDOMAIN if rcode == "NXDOMAIN" else Reason.DNS_FAILURE
        return Outcome.fail(f"{rcode} in place of {expect.rcode}", reason=reason, detail=answer.rcode)
    if rcode != "NOERROR":
        return Outcome()
    records = [_comparable(query_type, record.data) for record in answer.answers if record.type == TYPES[query_type]]
    if len(records) < expect.min_answers:
        return Outcome.fail(f"{len(records)} {query_type} records", reason=Reason.DNS_MISMATCH, detail=len(records))
    for wanted in expect.answers:
        text = _comparable(query_type, wanted)
        if not any(text in record if query_type == "TXT" else text == record for record in records):
            return Outcome.fail(f"{shown(wanted)} is not among the answers", reason=Reason.DNS_MISMATCH, detail=len(records))
    return Outcome()


def matches(asked: Message, answer: Message) -> bool:
    """Whether this is the reply to what was asked. A server that could not read the question may leave it out."""
    if not answer.response or answer.id != asked.id:
        return False
    if answer.question is None:
        return answer.rcode != RCODES["NOERROR"]
    return asked.question is not None and answer.question.asks(asked.question)


async def _ask_over_udp(address: object, family: int, asked: Message) -> Message:
    """The first reply to the question. What else arrives is somebody's mistake or somebody's attack, and is passed over."""
    with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as sock:
        await sock.connect(address)  # the kernel chooses a random port, and drops what others send to it
        await sock.send(dns_message.encode(asked))
        while True:
            data = await sock.recv(MAX_UDP_BYTES)
            if int.from_bytes(data[:2]) == asked.id:
                answer = dns_message.decode(_without_cut_records(data))
                if matches(asked, answer):
                    return answer


def _without_cut_records(data: bytes) -> bytes:
    """A truncated reply may end within a record: keep what tells that it is truncated, and to what question it belongs."""
    if len(data) >= dns_message.HEADER_BYTES and int.from_bytes(data[2:4]) & dns_message.TRUNCATED:
        return data[:6] + bytes(6) + data[12:]
    return data


async def _ask_over_tcp(address: object, family: int, asked: Message) -> Message:
    with trio.socket.socket(family, trio.socket.SOCK_STREAM) as sock:
        await sock.connect(address)
        stream = trio.SocketStream(sock)
        question = dns_message.encode(asked)
        await stream.send_all(len(question).to_bytes(2) + question)
        size = int.from_bytes(await _receive_exactly(stream, 2))
        answer = dns_message.decode(await _receive_exactly(stream, size))
    if not matches(asked, answer):
        raise MessageError("the reply over TCP is to another question")
    if answer.truncated:
        raise MessageError("the reply over TCP is cut short")
    return answer


async def _receive_exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _server(target: str) -> tuple[str, int]:
    without_port = target.endswith("]") or ":" not in target
    return split_host_port("DnsProbe.target", f"{target}:{PORT}" if without_port else target)


def _question(name: str, query_type: RecordType) -> Question:
    if not name:
        raise ConfigError("DnsProbe.query_name", "an empty name", 'write example.org, or "." for the root')
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode()
        dns_message.encode_name(ascii_name)
    except (MessageError, UnicodeError) as error:
        raise ConfigError("DnsProbe.query_name", f"{shown(name)} is not a domain name: {error}", "write example.org") from None
    return Question(ascii_name, TYPES[query_type])


def _comparable(query_type: RecordType, data: str) -> str:
    """Record data in the one form in which equal means the same."""
    if query_type == "TXT":
        return data
    if query_type in {"A", "AAAA"}:
        try:
            address = ipaddress.ip_address(data)
        except ValueError:
            address = None
        if address is None or address.version != (4 if query_type == "A" else 6):
            raise ConfigError("DnsProbe.expect.answers", f"{shown(data)} is not an address of type {query_type}", "correct it")
        return str(address)
    return " ".join(data.lower().split()).removesuffix(".")


_: type[AsyncProbe] = DnsProbe
