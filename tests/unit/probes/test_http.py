"""The HTTP kind as a value: URLs, expectations, and the requests that targets share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane
from meshkit_fastprobe.probes import http
from meshkit_fastprobe.probes.base import Endpoint, NativeProbe, lane_of
from meshkit_fastprobe.probes.http import HttpProbe
from meshkit_fastprobe.probes.http_expect import HttpExpect
from meshkit_fastprobe.probes.http_url import parse_url


@pytest.mark.parametrize(
    ("url", "endpoint", "header", "path"),
    [
        ("http://10.0.0.1:8080/healthz", ("10.0.0.1", 8080), "10.0.0.1:8080", "/healthz"),
        ("http://example.org", ("example.org", 80), "example.org", "/"),
        ("http://example.org:80/", ("example.org", 80), "example.org:80", "/"),
        ("http://example.org/a?b=c&d=%20", ("example.org", 80), "example.org", "/a?b=c&d=%20"),
        ("http://example.org?b=c", ("example.org", 80), "example.org", "/?b=c"),
        ("http://[::1]:8080/x", ("::1", 8080), "[::1]:8080", "/x"),
        ("http://[::1]/x", ("::1", 80), "[::1]", "/x"),
        ("http://[fe80::1%25eth0]:8080/", ("fe80::1%eth0", 8080), "[fe80::1]:8080", "/"),
        ("http://bücher.example/", ("xn--bcher-kva.example", 80), "xn--bcher-kva.example", "/"),
        ("http://example.org/grün und?ä", ("example.org", 80), "example.org", "/gr%C3%BCn%20und?%C3%A4"),
        ("http+unix://%2Frun%2Fapp.sock/healthz", "/run/app.sock", "localhost", "/healthz"),
        ("http+unix://@app/healthz?full", "@app", "localhost", "/healthz?full"),
    ],
)
def test_a_url_says_where_to_connect_and_what_to_ask(url: str, endpoint: Endpoint, header: str, path: str) -> None:
    assert parse_url(url) == (endpoint, header, path)
    assert HttpProbe(url).endpoint == endpoint


def test_the_request_is_what_the_url_says() -> None:
    probe = HttpProbe("http://example.org:8080/grün?x=1", headers={"x-from": "probe"})
    request = probe.compile("192.0.2.1", 8080).request()
    assert request.startswith(b"GET /gr%C3%BCn?x=1 HTTP/1.1\r\n")
    assert b"\r\nHost: example.org:8080\r\n" in request
    assert b"\r\nx-from: probe\r\n" in request


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/", "https is a kind of its own"),
        ("ftp://example.org/", "no scheme that is known"),
        ("example.org:80", "no scheme that is known"),
        ("", "no scheme"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http://user:secret@example.org/", "must not hold credentials"),
        ("http://user:secret@example.org:x/\n", "must not hold credentials"),
        ("user:secret@example.org", "must not hold credentials"),
        ("http://example.org/#top", "fragment"),
        ("http://example.org:0/", "1..65535"),
        ("http://example.org:99999/", "not a URL|1..65535"),
        ("http://example.org:x/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("http://10.0.0.256/", "four numbers of 0..255"),
        ("http://exa mple.org/", "no valid host"),
        ("http://example.org/\n", "do not print"),
        ("http://example.org/\r\nx: y", "do not print"),
        ("http://" + "ä" * 70 + "/", "not a valid host|no valid host"),
        ("http+unix://relative/x", "not the path of a unix socket"),
        ("http+unix:///x", "names no host"),
    ],
)
def test_a_url_that_cannot_be_probed_is_refused_with_a_fix(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        HttpProbe(url)
    assert caught.value.where == "HttpProbe.target"
    assert caught.value.fix
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60).map("http://".__add__) | st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        probe = HttpProbe(text)
    except ConfigError:
        return
    probe.compile("192.0.2.1", 80)


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"method": "POST"}, "HttpProbe.method", '"GET" or "HEAD"'),
        ({"max_body_bytes": -1}, "HttpProbe.max_body_bytes", "0..16777216"),
        ({"max_body_bytes": 2**25}, "HttpProbe.max_body_bytes", "0..16777216"),
        ({"method": "HEAD", "expect": HttpExpect(body_contains="ok")}, "HttpProbe.expect.body_contains", "no body"),
        ({"headers": {"a b": "c"}}, "HttpProbe.headers", "not a header name"),
        ({"headers": {"": "c"}}, "HttpProbe.headers", "not a header name"),
        ({"headers": {"authorization": "secret\r\nx: y"}}, "HttpProbe.headers.authorization", "do not print"),
        ({"headers": {"x": "secret" * 4000}}, "HttpProbe", "longer than 15 KiB"),
        ({"headers": {"Host": "a", "host": "b"}}, "HttpProbe", "two Host headers"),
        ({"headers": {"Content-Length": "5"}}, "HttpProbe", "announces a body"),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        HttpProbe("http://example.org/", **refused)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"status": (99,)}, "HttpExpect.status", "100..999"),
        ({"status": (1000,)}, "HttpExpect.status", "100..999"),
        ({"headers": {str(number): "" for number in range(17)}}, "HttpExpect.headers", "the bound is 16"),
        ({"headers": {"a:b": ""}}, "HttpExpect.headers", "not a header name"),
        ({"body_contains": "ä" * 513}, "HttpExpect.body_contains", "1026 bytes; the bound is 1024"),
    ],
)
def test_expectations_that_cannot_be_met_are_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        HttpExpect(**refused)
    assert caught.value.where == where


def test_targets_that_differ_only_in_their_host_share_one_plan() -> None:
    HttpProbe("http://10.0.0.1/shared")
    before = dict(http._plans)
    HttpProbe("http://10.0.0.2:81/shared")
    assert http._plans == before
    HttpProbe("http://10.0.0.2:81/shared", method="HEAD")
    assert len(http._plans) == len(before) + 1


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_PLANS", 10)
    probes = [HttpProbe(f"http://10.0.0.1/{number}") for number in range(50)]
    assert len(http._plans) <= 10
    assert probes[0].compile("10.0.0.1", 80).request().startswith(b"GET /0 ")


def test_a_list_of_statuses_is_taken_for_a_tuple() -> None:
    assert HttpExpect(status=[200, 204]) == HttpExpect(status=(200, 204))  # type: ignore[arg-type]  # what people write


def test_it_runs_in_the_native_lane() -> None:
    assert isinstance(HttpProbe("http://a/"), NativeProbe)
    assert lane_of(HttpProbe) is Lane.NATIVE


def test_probes_are_values() -> None:
    one = HttpProbe("http://a/", headers={"x": "y"}, expect=HttpExpect(headers={"z": ""}))
    same = HttpProbe("http://a/", headers={"x": "y"}, expect=HttpExpect(headers={"z": ""}))
    assert one == same
    assert len({one, same, HttpProbe("http://a/")}) == 2


def test_an_address_whose_interface_is_gone_compiles_to_an_unreachable_target() -> None:
    probe = HttpProbe("http://[fe80::1%25nosuchif]/")
    assert probe.compile("fe80::1%nosuchif", 80).request() == b""
