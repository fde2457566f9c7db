"""Why a QUIC connection ended, in the reasons that TLS over TCP has for the same."""

from __future__ import annotations

from typing import Final

from meshkit_fastprobe.model import Outcome, Reason

MAX_DETAIL: Final = 65535
NO_ERROR: Final = frozenset({0, 0x100})
"""Of QUIC, and of HTTP/3."""

_ALERTS: Final = range(0x100, 0x200)
"""A TLS alert, where it ends a handshake: the same numbers are HTTP/3's own errors afterwards."""

_CERTIFICATE_EXPIRED, _BAD_CERTIFICATE, _PROTOCOL_VERSION, _NO_APPLICATION_PROTOCOL = 45, 42, 70, 120
_OF_OUR_CERTIFICATE: Final = frozenset({42, 43, 44, 45, 46, 48, 49, 116})


def failure_of_handshake(code: int, words: str) -> Outcome:
    """Of a connection that ended before its handshake. words: aioquic's where we ended it, the target's own where it did."""
    alert = code - _ALERTS.start if code in _ALERTS else -1
    if alert == _CERTIFICATE_EXPIRED:
        early = "not valid yet" in words
        return Outcome.fail(_shown(words), reason=Reason.TLS_NOT_YET_VALID if early else Reason.TLS_EXPIRED)
    if alert == _BAD_CERTIFICATE:
        return Outcome.fail(_shown(words), reason=_of_certificate(words))
    if alert == _PROTOCOL_VERSION:
        return Outcome.fail(_shown(words), reason=Reason.TLS_VERSION)
    if alert == _NO_APPLICATION_PROTOCOL:
        return Outcome.fail("the target did not choose h3", reason=Reason.TLS_ALPN)
    return Outcome.fail(_shown(words), reason=Reason.TLS_HANDSHAKE, detail=min(code, MAX_DETAIL))


def failure_of_connection(code: int, frame_type: int | None, words: str) -> Outcome:
    """Of one that ended after its handshake, in place of an answer. Only now a target refuses our certificate.

    frame_type None: the application ended it, whose codes are its own.
    """
    if frame_type is not None and code - _ALERTS.start in _OF_OUR_CERTIFICATE:
        return Outcome.fail(_shown(words), reason=Reason.TLS_CLIENT_CERTIFICATE)
    return Outcome.fail(_shown(words), reason=Reason.RESPONSE_CLOSED, detail=min(code, MAX_DETAIL))


def _of_certificate(words: str) -> Reason:
    """One alert of aioquic's is what OpenSSL tells apart by codes, but the words are OpenSSL's."""
    known = words.lower()
    if known.startswith("hostname ") or "mismatch" in known:
        return Reason.TLS_HOSTNAME
    if "has expired" in known:
        return Reason.TLS_EXPIRED
    return Reason.TLS_NOT_YET_VALID if "not yet valid" in known else Reason.TLS_UNTRUSTED


def _shown(words: str) -> str:
    """They may be the target's: printable, and not many."""
    return "".join(letter for letter in words[:100] if letter.isprintable())
