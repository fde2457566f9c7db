"""What a TLS probe makes of a handshake, and what it refuses to be. Sockets are in tests/integration."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import trio

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane, Outcome, Reason, Result
from meshkit_fastprobe.probes.base import OurLimit, TrioProbe, lane_of
from meshkit_fastprobe.probes.tls import DAY_S, TlsProbe, judge
from meshkit_fastprobe.probes.tls_settings import Tls, name_for
from meshkit_fastprobe.probes.tls_stream import failure_of

ENDS = {"notAfter": "Jan 31 00:00:00 2030 GMT"}
END_S = 1896048000.0
PROBE = TlsProbe("10.0.0.1:443")


@pytest.mark.parametrize(
    ("left_s", "result", "days"),
    [
        (30 * DAY_S, Result.OK, 30),
        (14 * DAY_S, Result.OK, 14),
        (14 * DAY_S - 1, Result.DEGRADED, 13),
        (0.5 * DAY_S, Result.DEGRADED, 0),
        (-1.0, Result.DEGRADED, 0),
    ],
)
def test_days_left_are_whole_and_below_the_threshold_degraded(left_s: float, result: Result, days: int) -> None:
    outcome = judge(PROBE, "TLSv1.3", None, ENDS, END_S - left_s)
    assert (outcome.result, outcome.detail) == (result, days)
    assert outcome.reason is (Reason.NONE if result is Result.OK else Reason.TLS_EXPIRING)


def test_a_threshold_of_nothing_switches_the_warning_off() -> None:
    assert judge(TlsProbe("a:1", expiring_days=0), "TLSv1.3", None, ENDS, END_S - 60).result is Result.OK


def test_a_certificate_that_was_not_verified_has_no_end_to_judge() -> None:
    assert judge(PROBE, "TLSv1.3", "h2", {}, END_S) == Outcome.ok("TLSv1.3, h2")


def test_more_days_than_a_record_holds_are_cut() -> None:
    assert judge(PROBE, "TLSv1.3", None, {"notAfter": "Jan 31 00:00:00 2300 GMT"}, 0.0).detail == 65535


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [("10.0.0.1:8443", ("10.0.0.1", 8443)), ("db.example.org", ("db.example.org", 443)), ("[::1]", ("::1", 443))],
)
def test_the_port_may_be_left_out(target: str, endpoint: tuple[str, int]) -> None:
    assert TlsProbe(target).endpoint == endpoint


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"target": ""}, "TlsProbe.target", "host"),
        ({"target": "a:0"}, "TlsProbe.target", "1..65535"),
        ({"expiring_days": -1}, "TlsProbe.expiring_days", "0..3650"),
        ({"alpn": ("",)}, "TlsProbe.alpn", "not a name"),
        ({"alpn": ("h2",) * 9}, "TlsProbe.alpn", "the bound is 8"),
    ],
)
def test_what_cannot_be_asked_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        TlsProbe(**{"target": "10.0.0.1:443", **refused})
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("refused", "where"),
    [
        ({"ca_file": "ca.pem"}, "Tls.ca_file"),
        ({"key_file": "/key.pem"}, "Tls.key_file"),
        ({"ca_file": "/ca.pem", "verify": False}, "Tls.ca_file"),
        ({"min_version": "1.1"}, "Tls.min_version"),
        ({"server_name": "a\nb"}, "Tls.server_name"),
    ],
)
def test_settings_that_cannot_be_are_refused(refused: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Tls(**refused)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("server_name", "host", "name"),
    [("", "fe80::1%eth0", "fe80::1"), ("", "db.example.org.", "db.example.org"), ("a.example.", "10.0.0.1", "a.example")],
)
def test_the_name_asked_for_is_one_that_a_certificate_can_have(server_name: str, host: str, name: str) -> None:
    assert name_for(Tls(server_name=server_name), host) == name


def test_probes_of_the_same_settings_share_a_context() -> None:
    assert Tls(verify=False).context() is Tls(verify=False).context()
    assert Tls(verify=False).context() is not Tls(verify=False).context(("h2",))
    assert Tls(verify=False).context() is not Tls(verify=False, min_version="1.3").context()


def test_it_runs_on_trio() -> None:
    assert lane_of(TlsProbe) is Lane.TASK
    assert isinstance(PROBE, TrioProbe)


def test_probes_can_be_compared_and_hashed() -> None:
    assert TlsProbe("a:1", alpn=["h2"]) == TlsProbe("a:1", alpn=("h2",))  # type: ignore[arg-type] - what people write
    assert len({TlsProbe("a:1"), TlsProbe("a:1"), TlsProbe("a:2")}) == 2


@pytest.mark.parametrize(("number", "reason"), [(errno.ENOBUFS, Reason.MEMORY), (errno.ENOMEM, Reason.MEMORY)])
def test_what_this_host_runs_out_of_on_a_stream_is_no_failure_of_the_target(number: int, reason: Reason) -> None:
    error = trio.BrokenResourceError("socket connection broken")
    error.__cause__ = OSError(number, "no")
    with pytest.raises(OurLimit) as ours:
        failure_of(error)
    assert ours.value.reason is reason
