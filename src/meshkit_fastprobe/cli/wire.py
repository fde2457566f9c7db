"""HTTP as the command line needs it: a kept connection per host, a bound on time and size, every failure in plain words.

The standard library does it: a client of a hundred hosts pays for each request, and every command for what it imports.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

TIMEOUT_S: Final = 10.0
"""For each of connecting, and answering in full."""
DOING_S: Final = 45.0
"""For a host to answer once a fault is in force, or undone. One that takes its time is not one that cannot be reached: it may
ask its fleet for 6 s, try to inject for 10, and to undo for 10."""
MAX_BODY: Final = 256 << 20
"""Bytes of an answer: a page of the largest host takes a hundredth."""
_PIECE: Final = 1 << 16

Params = Sequence[tuple[str, str | int]]


class NoAnswerError(Exception):
    """The host gave no answer. The message says why, as people read it."""


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Wire:
    """Connections to hosts. One thread at a time may ask the same host; different hosts may be asked at once."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._kept: dict[str, http.client.HTTPConnection] = {}

    def ask(
        self,
        method: str,
        url: str,
        path: str,
        params: Params,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        answer_s: float | None = None,
    ) -> Reply:
        """NoAnswerError when there is none. What only reads is asked once more when a kept connection turns out dead.

        answer_s: for the answer to begin, when that may take longer than a host otherwise does.
        """
        kept = self._kept.pop(url, None)
        if kept is not None and method == "GET":
            try:
                return self._exchange(kept, method, url, path, params, headers, body)
            except (http.client.HTTPException, OSError):
                pass
        if kept is not None:
            kept.close()
        connection = _connection(url, self._tls)
        try:
            return self._exchange(connection, method, url, path, params, headers, body, answer_s)
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise NoAnswerError(why(error)) from error

    def lines(self, url: str, path: str, params: Params, headers: Mapping[str, str], silence_s: float) -> Iterator[str] | Reply:
        """The lines of a stream as they come, or the reply that refuses it. NoAnswerError when there is none."""
        connection = _connection(url, self._tls)
        try:
            connection.request("GET", _target(url, path, params), headers=dict(headers))
            response = connection.getresponse()
            if response.status == http.client.OK:
                return _lines(connection, response, silence_s)
            reply = Reply(response.status, _read(response))
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise NoAnswerError(why(error)) from error
        connection.close()
        return reply

    def another(self) -> Wire:
        """One with connections of its own, for another thread."""
        return Wire(self._tls)

    def close(self) -> None:
        """All kept connections."""
        for connection in self._kept.values():
            connection.close()
        self._kept.clear()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        url: str,
        path: str,
        params: Params,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        answer_s: float | None = None,
    ) -> Reply:
        told = {"accept-encoding": "gzip", **headers}
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            told["content-type"] = "application/json"
        connection.request(method, _target(url, path, params), body=content, headers=told)
        response = connection.getresponse() if answer_s is None else _awaited(connection, answer_s)
        reply = Reply(response.status, _read(response))
        if response.will_close or answer_s is not None:
            connection.close()
        else:
            self._kept[url] = connection
        return reply


def why(error: Exception) -> str:
    """The reason why there is no answer."""
    known = next((say for kind, say in _REASONS if isinstance(error, kind)), None)
    return known(error) if known else str(error)


# The first that fits: OSError and HTTPException are the families that the others belong to.
_REASONS: Final[tuple[tuple[type[Exception], Callable[[Any], str]], ...]] = (
    (TimeoutError, lambda _: f"no answer within {TIMEOUT_S:.0f} s"),
    (ConnectionRefusedError, lambda _: "connection refused"),
    (ssl.SSLCertVerificationError, lambda error: f"its certificate is not accepted: {error.verify_message}"),
    (ssl.SSLError, lambda error: f"TLS fails: {error.reason or error}"),
    (socket.gaierror, lambda error: f"its name is not known: {error.strerror}"),
    (http.client.RemoteDisconnected, lambda _: "it hung up without an answer"),
    (http.client.BadStatusLine, lambda _: "it does not speak HTTP"),
    (http.client.HTTPException, lambda error: f"answer broken off: {error}"),
    (OSError, lambda error: f"cannot connect: {error.strerror or error}"),
)


def _connection(url: str, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname, "URLs are looked at before anybody is asked"
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=tls)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)


def _awaited(connection: http.client.HTTPConnection, answer_s: float) -> http.client.HTTPResponse:
    assert connection.sock is not None, "it was connected by the request"
    connection.sock.settimeout(answer_s)
    try:
        return connection.getresponse()
    except TimeoutError:
        connection.close()
        raise NoAnswerError(f"no answer within {answer_s:.0f} s") from None


def _target(url: str, path: str, params: Params) -> str:
    query = f"?{urlencode(list(params))}" if params else ""
    return f"{urlsplit(url).path}{path}{query}"


def _read(response: http.client.HTTPResponse) -> bytes:
    """The whole body. A host that sends a byte now and then is given up like one that sends none."""
    deadline_s = time.monotonic() + TIMEOUT_S
    pieces, size, announced = [], 0, response.length
    # read(n) would wait for all n of them, and read1 of CPython 3.11 forgets how many it has read: so they are counted here.
    while announced is None or size < announced:
        piece = response.read1(_PIECE if announced is None else min(_PIECE, announced - size))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if time.monotonic() > deadline_s:
            raise TimeoutError
        if size > MAX_BODY:
            raise http.client.HTTPException(f"more than {MAX_BODY >> 20} MiB")
    response.close()
    if announced is not None and size < announced:
        raise http.client.HTTPException(f"{size:,} of {announced:,} bytes came")
    body = b"".join(pieces)
    if response.getheader("content-encoding") != "gzip":
        return body
    unpacking = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacking.decompress(body, MAX_BODY)
    except zlib.error as error:
        raise http.client.HTTPException(f"not gzip: {error}") from error
    if unpacking.unconsumed_tail:
        raise http.client.HTTPException(f"more than {MAX_BODY >> 20} MiB")
    return unpacked


def _lines(connection: http.client.HTTPConnection, response: http.client.HTTPResponse, silence_s: float) -> Iterator[str]:
    try:
        if connection.sock is not None:
            connection.sock.settimeout(silence_s)
        for line in response:
            yield line.decode("utf-8", "replace").rstrip("\r\n")
    except TimeoutError as error:
        raise NoAnswerError(f"nothing was heard for {silence_s:.0f} s") from error
    except (http.client.HTTPException, OSError) as error:
        raise NoAnswerError(why(error)) from error
    finally:
        response.close()
        connection.close()
