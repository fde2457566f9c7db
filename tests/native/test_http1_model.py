"""The response parser beside a plain reading of the grammar, and beside http.client on what is valid."""

from __future__ import annotations

import http.client
import io
import itertools
from collections.abc import Generator
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshkit_fastprobe._native.http1 import Parser

Event = tuple[Any, ...]
Bytes = Generator[None, int, Any]

HEADER_LIMIT = 16 * 1024
INTERIM_LIMIT = 4
CHUNK_LINE_LIMIT = 256
NAME_CUT, VALUE_CUT = 64, 256
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
TEXT = frozenset([*b"\t", *range(32, 127), *range(128, 256)])
HEX = frozenset(b"0123456789abcdefABCDEF")
SPACE = b" \t"


class BadError(Exception):
    pass


class TooLargeError(Exception):
    pass


def must(condition: bool) -> None:
    if not condition:
        raise BadError


class Model:
    """The grammar as sequential code: a generator that is sent the response byte by byte."""

    def __init__(self, *, head: bool) -> None:
        self.head = head
        self.events: list[Event] = []
        self.used = 0
        self.to_eof = False
        self.ended = False
        self.left = 0

    def head_byte(self) -> Bytes:
        byte = yield
        self.used += 1
        if self.used > HEADER_LIMIT:
            raise TooLargeError
        return byte

    def line_end(self, byte: int) -> Bytes:
        """The rest of a line end that began with `byte`."""
        must(byte in b"\r\n")
        if byte == ord("\r"):
            must((yield from self.head_byte()) == ord("\n"))

    def response(self) -> Bytes:
        interim = 0
        while True:
            minor, status = yield from self.status_line()
            if status >= 200:
                break
            must(status != 101)
            interim += 1
            if interim > INTERIM_LIMIT:
                raise TooLargeError
            yield from self.fields(lambda _name, _value, _cut: None)
        self.events.append(("status", status))
        yield from self.final(minor, status)

    def status_line(self) -> Bytes:
        byte = yield from self.head_byte()
        while byte in b"\r\n":
            yield from self.line_end(byte)
            byte = yield from self.head_byte()
        for expected in b"HTTP/1.":
            must(byte == expected)
            byte = yield from self.head_byte()
        must(byte in b"0123456789")
        minor = byte - ord("0")
        must((yield from self.head_byte()) == ord(" "))
        status = 0
        for position in range(3):
            byte = yield from self.head_byte()
            must(byte in (b"0123456789" if position else b"123456789"))
            status = status * 10 + byte - ord("0")
        byte = yield from self.head_byte()
        if byte == ord(" "):
            byte = yield from self.head_byte()
            while byte in TEXT:
                byte = yield from self.head_byte()
        yield from self.line_end(byte)
        return minor, status

    def fields(self, take: Any) -> Bytes:
        byte = yield from self.head_byte()
        while byte not in b"\r\n":
            name = bytearray()
            while byte in TOKEN:
                name.append(byte)
                byte = yield from self.head_byte()
            must(len(name) > 0)
            must(byte == ord(":"))
            value = bytearray()
            byte = ord(" ")
            while byte in SPACE:  # the value, then each line that is folded into it
                byte = yield from self.text_line(value, byte)
                byte = yield from self.head_byte()
            kept = bytes(value).lstrip(SPACE)
            take(bytes(name[:NAME_CUT]).lower(), kept[:VALUE_CUT].rstrip(SPACE), len(kept.rstrip(SPACE)) > VALUE_CUT)
        yield from self.line_end(byte)

    def text_line(self, value: bytearray, byte: int) -> Bytes:
        while byte in TEXT:
            value.append(byte)
            byte = yield from self.head_byte()
        yield from self.line_end(byte)

    def final(self, minor: int, status: int) -> Bytes:
        lengths: list[int] = []
        codings: list[bytes] = []
        options: list[bytes] = []

        def take(name: bytes, value: bytes, cut: bool) -> None:
            parts = [part.strip(SPACE) for part in value.split(b",")]
            if name == b"content-length":
                for part in parts:
                    must(part.isdigit() and int(part) < 2**63)
                    lengths.append(int(part))
                must(not cut and len(set(lengths)) == 1)
            if name == b"transfer-encoding":
                codings.append(value.lower())
                must(not cut and codings == [b"chunked"])
            if name == b"connection":
                options.extend(part.lower() for part in parts)
                options.extend([b"close"] if cut else [])
            self.events.append(("header", name, value))

        yield from self.fields(take)
        must(not (lengths and codings))
        self.events.append(("headers_end",))
        keep = b"close" not in options and (minor > 0 or (b"keep-alive" in options and not codings))
        if self.head or status in {204, 304}:
            pass
        elif codings:
            yield from self.chunks()
        elif lengths:
            yield from self.body(lengths[0])
        else:
            self.to_eof = True
            yield from self.body(-1)
        self.events.append(("done", keep))

    def body(self, length: int) -> Bytes:
        while length != 0:
            byte = yield
            self.events.append(("body", bytes([byte])))
            length -= 1

    def chunks(self) -> Bytes:
        while True:
            line = bytearray()
            while True:
                byte = yield
                line.append(byte)
                must(len(line) <= CHUNK_LINE_LIMIT)
                must(self.is_chunk_line(bytes(line)))
                if byte in b"\r\n":
                    break
            if byte == ord("\r"):
                must((yield) == ord("\n"))
            size = int(bytes(line).strip(b"\r\n").partition(b";")[0].rstrip(SPACE), 16)
            if size == 0:
                yield from self.fields(lambda _name, _value, _cut: None)
                return
            yield from self.body(size)
            byte = yield
            must(byte in b"\r\n")
            if byte == ord("\r"):
                must((yield) == ord("\n"))

    @staticmethod
    def is_chunk_line(line: bytes) -> bool:
        """Whether this can be, or become, digits, spaces, an extension and a line end."""
        size, semicolon, extension = line.rstrip(b"\r\n").partition(b";")
        digits = size.rstrip(SPACE)
        sound = len(digits) > 0 and set(digits) <= HEX and int(digits or b"0", 16) < 2**63
        return sound and (not semicolon or set(extension) <= TEXT)

    def parse(self, data: bytes, *, eof: bool) -> list[Event]:
        grammar = self.response()
        next(grammar)
        self.left = 0
        for at, byte in enumerate(data):
            try:
                grammar.send(byte)
            except StopIteration:
                self.left = len(data) - at - 1
                self.ended = True
            except BadError:
                self.events.append(("bad",))
                self.ended = True
            except TooLargeError:
                self.events.append(("too_large",))
                self.ended = True
            if self.ended:
                break
        if eof and not self.ended:
            self.events.append(("done", False) if self.to_eof else ("bad",))
        return joined(self.events)


def joined(events: list[Event]) -> list[Event]:
    """Pieces of a body as one: where they were cut is the sender's affair."""
    out: list[Event] = []
    for event in events:
        if event[0] == "body" and out and out[-1][0] == "body":
            out[-1] = ("body", out[-1][1] + event[1])
        else:
            out.append(event)
    return out


FINAL = {"done", "bad", "too_large"}


def parse(data: bytes, cuts: list[int], *, head: bool, eof: bool) -> list[Event]:
    parser = Parser(head=head)
    events: list[Event] = []
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(borders):
        events += parser.feed(data[start:end])
        if events and events[-1][0] in FINAL:
            return joined(events)
    if eof:
        events.append(parser.eof())
    return joined(events)


line_ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
spaces = st.sampled_from([b"", b"", b" ", b"\t ", b"  "])
versions = st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.7", b"HTTP/2.0", b"http/1.1", b"HTTP/1."])
statuses = st.sampled_from(
    [b"200", b"200", b"200", b"204", b"304", b"100", b"103", b"101", b"404", b"999", b"099", b"20", b"2000"]
)
names = st.one_of(
    st.sampled_from([b"Content-Length", b"transfer-encoding", b"CONNECTION", b"Content-Length ", b"X"]),
    st.binary(max_size=4),
    st.integers(60, 70).map(lambda n: b"n" * n),
)
values = st.one_of(
    st.sampled_from([
        b"0", b"3", b"3, 3", b"3,4", b"+3", b"9223372036854775807", b"9" * 30, b"chunked", b"gzip, chunked", b"close",
        b"keep-alive", b"upgrade , Close", b"a\r\n b", b"", b"3\n\t",
    ]),
    st.binary(max_size=6),
    st.integers(250, 262).map(lambda n: b"v" * (n // 2) + b" " * (n - n // 2) + b"v"),
)  # fmt: skip
headers = st.tuples(names, st.just(b":"), spaces, values, spaces, line_ends).map(b"".join)
heads = st.tuples(
    versions,
    spaces,
    statuses,
    st.sampled_from([b"", b" ", b" OK", b" \xff\x00"]),
    line_ends,
    st.lists(headers, max_size=4),
    line_ends,
)
chunks = st.tuples(
    st.sampled_from([b"1", b"3", b"0", b"0", b"00000003", b"ffffffffffffffffff", b"-1", b"0x3", b"z", b""]),
    st.sampled_from([b"", b"", b" ", b";a=b", b" ; q", b" 1", b";\x01", b";" + b"e" * 250]),
    line_ends,
    st.sampled_from([b"", b"a", b"abc"]),
    line_ends,
).map(b"".join)
bodies = st.one_of(st.binary(max_size=12), st.lists(chunks, max_size=4).map(b"".join))
responses = st.lists(
    st.one_of(
        heads.map(lambda parts: b"".join(b"".join(part) if isinstance(part, list) else part for part in parts)),
        bodies,
        line_ends,
        st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
    ),
    max_size=6,
).map(b"".join)


@settings(max_examples=1500, deadline=None)
@given(data=responses, cuts=st.lists(st.integers(0, 5000), max_size=8), head=st.booleans(), eof=st.booleans())
@example(data=b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 3000, cuts=[16384, 16385], head=False, eof=True)
@example(data=b"HTTP/1.1 100 x\r\n\r\n" * 5, cuts=[], head=False, eof=True)
def test_parser_agrees_with_the_grammar_however_the_bytes_are_cut(data: bytes, cuts: list[int], head: bool, eof: bool) -> None:
    assert parse(data, cuts, head=head, eof=eof) == Model(head=head).parse(data, eof=eof)


@settings(max_examples=150, deadline=None)
@given(data=responses, head=st.booleans())
def test_every_single_cut_gives_the_same_events(data: bytes, head: bool) -> None:
    whole = parse(data, [], head=head, eof=True)
    for cut in range(len(data) + 1):
        assert parse(data, [cut], head=head, eof=True) == whole


valid_names = st.text("abcxyzABC-_0", min_size=1, max_size=8).filter(
    lambda name: name.lower() not in {"content-length", "transfer-encoding", "connection"}
)
valid_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
valid_bodies = st.binary(max_size=300)


def framed(framing: str, body: bytes, sizes: list[int]) -> tuple[bytes, bytes]:
    """The header that announces the body, and the body as it is sent."""
    if framing == "length":
        return b"Content-Length: %d\r\n" % len(body), body
    if framing == "close":
        return b"Connection: close\r\n", body
    sent = b""
    for size in [*sizes, len(body) or 1]:
        piece, body = body[:size], body[size:]
        if piece:
            sent += b"%x\r\n%b\r\n" % (len(piece), piece)
    return b"Transfer-Encoding: chunked\r\n", sent + b"0\r\n\r\n"


class Socket:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from([200, 204, 206, 301, 304, 404, 500, 503]),
    given_headers=st.lists(st.tuples(valid_names, valid_values), max_size=5),
    framing=st.sampled_from(["length", "chunked", "close"]),
    body=valid_bodies,
    sizes=st.lists(st.integers(1, 100), max_size=4),
    method=st.sampled_from(["GET", "HEAD"]),
    cuts=st.lists(st.integers(0, 1000), max_size=5),
)
def test_http_client_reads_the_same_from_what_is_valid(
    status: int, given_headers: list[tuple[str, str]], framing: str, body: bytes, sizes: list[int], method: str, cuts: list[int]
) -> None:
    bodiless = status in {204, 304}
    announced, sent = framed("close" if bodiless else framing, body, sizes)
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in given_headers)
    data = b"HTTP/1.1 %d Reason\r\n" % status + lines + announced + b"\r\n"
    if method == "GET" and not bodiless:
        data += sent

    peer = http.client.HTTPResponse(Socket(data), method=method)  # type: ignore[arg-type]  # as much of a socket as it uses
    peer.begin()
    peer_body = peer.read()
    will_close = peer.will_close
    peer.close()
    events = parse(data, cuts, head=method == "HEAD", eof=True)

    assert events[0] == ("status", peer.status)
    ours = [(name.decode(), value.decode()) for kind, name, value in (event for event in events if event[0] == "header")]
    assert ours == [(name.lower(), value) for name, value in peer.getheaders()]
    assert b"".join(event[1] for event in events if event[0] == "body") == peer_body
    assert events[-1] == ("done", not will_close)


def test_what_follows_the_answer_is_left() -> None:
    parser = Parser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP")[-1] == ("done", True)
    assert parser.left == 4
