"""What an HTTPS probe sends, and what it refuses to be. Sockets are in tests/integration."""

from __future__ import annotations

from typing import Any

import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane
from meshkit_fastprobe.probes import http2
from meshkit_fastprobe.probes.base import TrioProbe, lane_of
from meshkit_fastprobe.probes.http_expect import HttpExpect
from meshkit_fastprobe.probes.https import HttpsProbe
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
        ({"version": "3"}, "HttpsProbe.version", "not known"),
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


def test_it_runs_on_trio() -> None:
    assert lane_of(HttpsProbe) is Lane.TASK
    assert isinstance(HttpsProbe("https://a/"), TrioProbe)
