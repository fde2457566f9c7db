"""Why a QUIC connection ended: TLS's reasons, by number and by words."""

from __future__ import annotations

import pytest

from meshkit_fastprobe.model import Reason
from meshkit_fastprobe.probes.quic_failure import MAX_DETAIL, failure_of_connection, failure_of_handshake


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (0x100 + 45, "Certificate is no longer valid", Reason.TLS_EXPIRED),
        (0x100 + 45, "Certificate is not valid yet", Reason.TLS_NOT_YET_VALID),
        (0x100 + 42, "hostname 'a' doesn't match DNSPattern(pattern=b'b')", Reason.TLS_HOSTNAME),
        (0x100 + 42, "VerificationError(errors=[DNSMismatch(mismatched_id=...)])", Reason.TLS_HOSTNAME),
        (0x100 + 42, "unable to get local issuer certificate", Reason.TLS_UNTRUSTED),
        (0x100 + 42, "certificate has expired", Reason.TLS_EXPIRED),
        (0x100 + 42, "certificate is not yet valid", Reason.TLS_NOT_YET_VALID),
        (0x100 + 70, "", Reason.TLS_VERSION),
        (0x100 + 120, "", Reason.TLS_ALPN),
        (0x100 + 40, "", Reason.TLS_HANDSHAKE),
        (2, "busy", Reason.TLS_HANDSHAKE),
    ],
)
def test_an_end_before_the_handshake_is_a_handshakes(code: int, words: str, reason: Reason) -> None:
    assert failure_of_handshake(code, words).reason is reason


@pytest.mark.parametrize(
    ("code", "frame_type", "reason"),
    [
        (0x100 + 116, 6, Reason.TLS_CLIENT_CERTIFICATE),
        (0x100 + 48, 0, Reason.TLS_CLIENT_CERTIFICATE),
        (0x100 + 48, None, Reason.RESPONSE_CLOSED),
        (0x107, None, Reason.RESPONSE_CLOSED),
        (0x107, 6, Reason.RESPONSE_CLOSED),
    ],
)
def test_an_end_after_it_is_about_our_certificate_only_by_an_alert(code: int, frame_type: int | None, reason: Reason) -> None:
    assert failure_of_connection(code, frame_type, "").reason is reason


def test_what_the_target_says_is_bounded_and_does_not_reach_a_terminal() -> None:
    outcome = failure_of_connection(1 << 60, None, "\x1b[2J" + "x" * 5000)
    assert outcome.message.isprintable()
    assert len(outcome.message) <= 100
    assert outcome.detail == MAX_DETAIL
