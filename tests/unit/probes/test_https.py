"""What an HTTPS probe sends, and what it refuses to be. Sockets are in tests/integration."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane, Outcome, Reason
from meshkit_fastprobe.probes import http2, http3
from meshkit_fastprobe.probes.base import TrioProbe, lane_of
from meshkit_fastprobe.probes.http_expect import HttpExpect
from meshkit_fastprobe.probes.https import HttpsProbe, downgraded
from meshkit_fastprobe.probes.https_carriers import http2_headers


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://example.org/", ("example.org", 443)),
        ("https://example.org:8443/a?b", ("example.org", 8443)),
        ("HTTPS://[::1]", ("::1", 443)),
        ("https://bücher.example", ("xn--bcher-kva.example", 443)),
    ],
)
def test_urls_lead_to_port_443_unless_they_say_another(url: str, endpoint: tuple[str, int]) -> None:
    assert HttpsProbe(url).endpoint == endpoint


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"target": "http://example.org/"}, "HttpsProbe.target", "no scheme that is known"),
        ({"target": "https://me:secret@example.org/"}, "HttpsProbe.target", "must not hold credentials"),
        ({"target": "https://"}, "HttpsProbe.target", "names no host"),
        ({"method": "POST"}, "HttpsProbe.method", "not a method"),
        ({"version": "4"}, "HttpsProbe.version", "not known"),
        ({"version": "3", "keep_alive": True}, "HttpsProbe.keep_alive", "anew"),
        ({"max_redirects": 11}, "HttpsProbe.max_redirects", "0..10"),
        ({"max_body_bytes": -1}, "HttpsProbe.max_body_bytes", "0..16777216"),
        ({"headers": {"a b": "c"}}, "HttpsProbe.headers", "not a header name"),
        ({"method": "HEAD", "expect": HttpExpect(body_contains="ok")}, "HttpsProbe.expect.body_contains", "no body"),
    ],
)
def test_what_cannot_be_asked_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        HttpsProbe(**{"target": "https://example.org/", **refused})
    assert caught.value.where == where


def test_http2_says_the_same_in_its_own_words() -> None:
    request = b"GET /a?b HTTP/1.1\r\nHost: example.org\r\nX-From: me: you\r\nConnection: close\r\n\r\n"
    assert http2_headers(request) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"example.org"),
        (b":path", b"/a?b"),
        (b"x-from", b"me: you"),
    ]


def test_without_h2_only_http1_is_offered_and_http2_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HttpsProbe("https://a/").offers == ("h2", "http/1.1")
    monkeypatch.setattr(http2, "is_installed", lambda: False)
    assert HttpsProbe("https://a/").offers == ("http/1.1",)
    with pytest.raises(ConfigError, match="meshkit-fastprobe\\[http2\\]"):
        HttpsProbe("https://a/", version="2")


def test_without_aioquic_http3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http3, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match="meshkit-fastprobe\\[http3\\]"):
        HttpsProbe("https://a/", version="3")


def test_neither_the_kind_nor_a_probe_loads_what_asks_by_http3() -> None:
    make = "import sys; from meshkit_fastprobe import HttpsProbe; HttpsProbe('https://a/', version='3')"
    look = f"{make}; print('aioquic' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", look], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_only_an_answer_that_passed_is_degraded_for_the_way_it_came() -> None:
    silence = Outcome.fail(reason=Reason.CONNECT_REFUSED)
    fine, bad = Outcome(detail=200), Outcome.fail(reason=Reason.HTTP_STATUS, detail=503)
    assert downgraded(fine, None) is fine
    assert downgraded(fine, silence).reason is Reason.HTTP_DOWNGRADE
    assert downgraded(bad, silence).reason is Reason.HTTP_STATUS
    assert downgraded(bad, silence).facts == (("http3", "connect_refused"),)


def test_it_runs_on_trio() -> None:
    assert lane_of(HttpsProbe) is Lane.TASK
    assert isinstance(HttpsProbe("https://a/"), TrioProbe)
