"""What a watch probe sends, and what it refuses to be. Sockets are in tests/integration."""

from __future__ import annotations

from typing import Any

import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane
from meshkit_fastprobe.probes.base import TrioProbe, lane_of
from meshkit_fastprobe.probes.watch import WatchProbe


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"target": "ftp://example.org/"}, "WatchProbe.target", "no scheme"),
        ({"target": "https://me:secret@example.org/"}, "WatchProbe.target", "must not hold credentials"),
        ({"heartbeat_s": 0}, "WatchProbe.heartbeat_s", "0.1..86400"),
        ({"heartbeat_s": float("nan")}, "WatchProbe.heartbeat_s", "0.1..86400"),
        ({"resume": "yes"}, "WatchProbe.resume", "not known"),
        ({"headers": {"a b": "c"}}, "WatchProbe.headers", "not a header name"),
        ({"headers": {"Last-Event-ID": "7"}}, "WatchProbe.headers", "the probe's own"),
    ],
)
def test_what_cannot_be_watched_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        WatchProbe(**{"target": "https://example.org/", **refused})
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://example.org/e", ("example.org", 80)),
        ("https://example.org/e", ("example.org", 443)),
        ("http+unix://%2Frun%2Fa.sock/e", "/run/a.sock"),
    ],
)
def test_urls_of_both_schemes_and_unix_sockets_are_watched(url: str, endpoint: Any) -> None:
    assert WatchProbe(url).endpoint == endpoint


def test_the_token_goes_into_the_request() -> None:
    request = WatchProbe("http://example.org/e?f=1", headers={"x-from": "me"}).request("7").lower()
    assert request.startswith(b"get /e?f=1 http/1.1\r\n")
    for line in (b"host: example.org", b"accept: text/event-stream", b"last-event-id: 7", b"x-from: me"):
        assert b"\r\n" + line + b"\r\n" in request
    assert b"last-event-id" not in WatchProbe("http://example.org/e").request().lower()


def test_it_runs_on_trio() -> None:
    assert lane_of(WatchProbe) is Lane.TASK
    assert isinstance(WatchProbe("https://a/"), TrioProbe)
