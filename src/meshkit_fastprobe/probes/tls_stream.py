"""TLS over a connected socket: the handshake, and its failures told by reason."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

import trio

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import OUR_LIMITS, OurLimit
from meshkit_fastprobe.probes.dialing import Address, connect
from meshkit_fastprobe.probes.http_judge import Broken
from meshkit_fastprobe.probes.tls_settings import Tls
from meshkit_fastprobe.probes.tls_transport import Transport, shaking_hands
from meshkit_fastprobe.probes.via import Via

READ_BYTES: Final = 16 * 1024

MAX_FAREWELL_S: Final = 1.0
UNNAMED: Final = "it asked for a certificate of ours, and ended the connection when it got none"
NAMED: Final = "before any word, after it had asked for a certificate of ours: it may have refused it"

Stream: TypeAlias = trio.SSLStream[Transport]

_CLOSE_IN_ORDER: Final = struct.pack("ii", 0, 0)
"""struct linger. A reset could overtake our last handshake message, and servers would log a broken handshake at each check."""

_EXPIRED, _NOT_YET_VALID, _HOSTNAME, _IP_ADDRESS = 10, 9, 62, 64  # X509_V_ERR_*
_BY_VERIFY_CODE: Final = {
    _EXPIRED: Reason.TLS_EXPIRED,
    _NOT_YET_VALID: Reason.TLS_NOT_YET_VALID,
    _HOSTNAME: Reason.TLS_HOSTNAME,
    _IP_ADDRESS: Reason.TLS_HOSTNAME,
}
_VERSION_WORDS: Final = ("UNSUPPORTED_PROTOCOL", "ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW")
_ALPN_WORDS: Final = ("NO_APPLICATION_PROTOCOL",)
_CLIENT_CERTIFICATE_WORDS: Final = (
    "ALERT_CERTIFICATE",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
)
_NOT_TLS_WORDS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")

_CLOSED: Final = Outcome(Result.FAIL, Reason.RESPONSE_CLOSED)


def open_context(tls: Tls, alpn: tuple[str, ...]) -> ssl.SSLContext | Outcome:
    """The context of these settings, or what its files keep us from: our own mistake, so no failure of the target."""
    try:
        return tls.context(alpn)
    except OSError as error:  # SSLError is one
        return Outcome.error(error.strerror or str(error), reason=Reason.TLS_FILES, detail=error.errno or 0)


async def connect_tls(address: Address, via: Via, context: ssl.SSLContext, server_name: str) -> Stream | Outcome:
    """A stream whose handshake is not yet done, or why there is no connection. OurLimit when that is our own fault."""
    connected = await connect(address, via)
    if isinstance(connected, Outcome):
        return connected
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_IN_ORDER)
    return trio.SSLStream(Transport(connected), context, server_hostname=server_name or None, https_compatible=True)


async def shake_hands(stream: Stream) -> Outcome | None:
    """Finish the handshake; an outcome when it fails."""
    transport = stream.transport_stream
    outer = shaking_hands.set(transport)
    try:
        await stream.do_handshake()
    except (trio.BrokenResourceError, ssl.SSLError) as error:
        outcome = failure_of(error)
        # Up to TLS 1.2 a missing certificate has no alert of its own.
        unnamed = transport.showed_nothing and outcome.reason is Reason.TLS_HANDSHAKE
        return Outcome.fail(UNNAMED, reason=Reason.TLS_CLIENT_CERTIFICATE) if unnamed else outcome
    finally:
        shaking_hands.reset(outer)
        transport.heard = False
    return None


async def hear_out(stream: Stream) -> Outcome | None:
    """Say goodbye to a target of which no more than a handshake is wanted; an outcome when it refuses our certificate.

    With TLS 1.3 it says so only now. It is given half of the time that is left, as not every server answers a goodbye.
    """
    left_s = trio.current_effective_deadline() - trio.current_time()
    with trio.move_on_after(max(0.0, min(left_s / 2, MAX_FAREWELL_S))):
        try:
            await stream.transport_stream.send_eof()  # no bytes: a reset would answer those that come after the target's close
            await receive(stream)
        except trio.BrokenResourceError:
            return None
        except Broken as broken:
            return broken.outcome if broken.outcome.reason is Reason.TLS_CLIENT_CERTIFICATE else None
    return None


def close_at_once(stream: Stream | trio.SocketStream) -> None:
    """Close without waiting for the peer's word: the kernel sends what is left."""
    transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    transport.socket.close()


async def send(stream: Stream | trio.SocketStream, data: bytes) -> None:
    """Broken when the peer has gone."""
    try:
        await stream.send_all(data)
    except (trio.BrokenResourceError, ssl.SSLError) as error:
        raise _broken_by(error) from None


async def receive(stream: Stream | trio.SocketStream) -> bytes:
    """Some bytes, or none when the peer has closed. Broken when it broke off, or closed because it does not know us."""
    try:
        data = bytes(await stream.receive_some(READ_BYTES))
    except (trio.BrokenResourceError, ssl.SSLError) as error:
        broken = _broken_by(error)
        if broken.outcome.reason is Reason.RESPONSE_RESET:
            _look_for_a_refusal(stream, broken.outcome)
        raise broken from None
    if not data:
        _look_for_a_refusal(stream, _CLOSED)
    return data


async def still_quiet(stream: Stream) -> bool:
    """Whether a kept connection has neither ended nor said what nobody asked for. TLS's own words, as a ticket, are read."""
    with stream.transport_stream.without_waiting():
        try:
            await stream.receive_some(1)
        except BlockingIOError:
            return True
        except (trio.BrokenResourceError, OSError):
            return False
    return False


def _look_for_a_refusal(stream: Stream | trio.SocketStream, ended: Outcome) -> None:
    """Broken when it asked who we are, and has ended the connection without a byte since: some servers send no alert."""
    transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else None
    if transport is not None and transport.asked and not transport.heard:
        if transport.showed_nothing:
            raise Broken(Reason.TLS_CLIENT_CERTIFICATE, message=UNNAMED) from None
        raise Broken(ended.reason, ended.detail, NAMED) from None


def _broken_by(error: BaseException) -> Broken:
    """With TLS 1.3 a target refuses our certificate here, after the handshake; other errors are no longer a handshake's."""
    outcome = failure_of(error)
    reason = Reason.RESPONSE_RESET if outcome.reason is Reason.TLS_HANDSHAKE else outcome.reason
    return Broken(reason, outcome.detail, outcome.message)


def failure_of(error: BaseException) -> Outcome:
    """What went wrong in a handshake, or later on a stream, by the causes of what was raised. OurLimit when it is our fault."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Outcome.fail(cause.verify_message, reason=_BY_VERIFY_CODE.get(cause.verify_code, Reason.TLS_UNTRUSTED))
        if isinstance(cause, ssl.SSLEOFError):
            break
        if isinstance(cause, ssl.SSLError):
            return _of_library(cause.reason or "")
        if isinstance(cause, OSError) and cause.errno in OUR_LIMITS:
            raise OurLimit(OUR_LIMITS[cause.errno]) from None
        if isinstance(cause, OSError):
            return Outcome.fail("reset", reason=Reason.TLS_HANDSHAKE, detail=cause.errno or 0)
    return Outcome.fail("closed by the target", reason=Reason.TLS_HANDSHAKE)


def _of_library(words: str) -> Outcome:
    """OpenSSL's word for what happened is stable and holds nothing of the peer's."""
    readable = words.lower().replace("_", " ")
    for known, reason in (
        (_VERSION_WORDS, Reason.TLS_VERSION),
        (_ALPN_WORDS, Reason.TLS_ALPN),
        (_CLIENT_CERTIFICATE_WORDS, Reason.TLS_CLIENT_CERTIFICATE),
    ):
        if any(word in words for word in known):
            return Outcome.fail(readable, reason=reason)
    if any(word in words for word in _NOT_TLS_WORDS):
        readable = "the answer is not TLS"
    return Outcome(Result.FAIL, Reason.TLS_HANDSHAKE, readable)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__
