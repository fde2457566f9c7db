"""host:port as people write it, and as they mistype it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.config.addresses import is_loopback
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.targets import is_literal, split_host_port, unix_path


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.7:5432", "10.0.0.7", 5432),
        ("db:1", "db", 1),
        ("db-1.eu_1.example.org:65535", "db-1.eu_1.example.org", 65535),
        ("1and1.example:80", "1and1.example", 80),
        ("example.org.:80", "example.org.", 80),
        ("host2:80", "host2", 80),
        ("_sip._tcp:80", "_sip._tcp", 80),
        ("bücher.example:80", "bücher.example", 80),
        ("[::1]:80", "::1", 80),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
        ("[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80),
    ],
)
def test_a_target_is_split(text: str, host: str, port: int) -> None:
    assert split_host_port("here", text) == (host, port)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.7", "no port; write host:port"),
        ("", "no port"),
        ("[::1]", "no port"),
        ("10.0.0.7:", 'port "" is not in 1..65535'),
        ("10.0.0.7:0", 'port "0" is not in 1..65535'),
        ("10.0.0.7:65536", "1..65535"),
        ("10.0.0.7:http", "1..65535"),
        ("10.0.0.7:+80", "1..65535"),
        ("10.0.0.7:\uff18\uff10", "1..65535"),
        ("10.0.0.7:" + "1" * 5000, "1..65535"),
        ("::1:80", r"write an IPv6 address in brackets: \[::1\]:80"),
        ("[10.0.0.7]:80", "brackets"),
        ("[::g]:80", "brackets"),
        ("10.0.0.256:80", "four numbers of 0..255"),
        ("10.0.1:80", "four numbers of 0..255"),
        ("0x7f000001:80", "four numbers of 0..255"),
        ("a b:80", "no valid host"),
        ("a/b:80", "no valid host"),
        ("user@host:80", "no valid host"),
        ("a..b:80", "no valid host"),
        (".a:80", "no valid host"),
        ("a\0b:80", "no valid host"),
        ("a\nb:80", "no valid host"),
        (":80", "no valid host"),
        ("a" * 64 + ":80", "no valid host"),
        ("a." * 130 + "b:80", "no valid host"),
        ("fe80::1%eth0:80", "brackets"),
        ("host%eth0:80", "no valid host"),
    ],
)
def test_a_mistyped_target_is_refused_with_a_fix(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        split_host_port("here", text)
    assert caught.value.where == "here"
    assert caught.value.fix
    assert str(caught.value).isprintable()


@given(st.text(max_size=80) | st.from_regex(r"[\[\]a-z0-9.:%-]{1,40}", fullmatch=True))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        host, port = split_host_port("here", text)
    except ConfigError:
        return
    assert 1 <= port <= 65535
    assert host


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_is_read_back(address: object, port: int) -> None:
    text = f"[{address}]" if ":" in str(address) else str(address)
    assert split_host_port("here", f"{text}:{port}") == (str(address), port)
    assert is_literal(str(address))


@pytest.mark.parametrize("host", ["localhost", "10.0.0", "10.0.0.256", "", "::g", "fe80::1%", "a\0b", "²"])
def test_a_name_is_no_literal(host: str) -> None:
    assert not is_literal(host)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("a", False)],
)
def test_loopback_is_what_only_this_host_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("path", ["/run/a.sock", "@abstract", "/" + "a" * 106])
def test_unix_paths_are_taken(path: str) -> None:
    assert unix_path("here", path) == path


@pytest.mark.parametrize("path", ["", "/", "@", "run/a.sock", "/a\0b", "/" + "a" * 107, "/" + "ä" * 54, "/\ud800"])
def test_paths_that_the_kernel_would_not_take_are_refused(path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        unix_path("here", path)
    assert caught.value.fix
