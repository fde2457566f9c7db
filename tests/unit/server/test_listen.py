import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.listen import MAX_UNIX_PATH, TcpAddress, UnixAddress, parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", TcpAddress("127.0.0.1", 9464)),
        ("127.8.8.8:0", TcpAddress("127.8.8.8", 0)),
        ("localhost:80", TcpAddress("127.0.0.1", 80)),
        ("[::1]:9464", TcpAddress("::1", 9464)),
        ("unix:/run/fp.sock", UnixAddress("/run/fp.sock")),
    ],
)
def test_loopback_and_unix_addresses_are_read(text, address):
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["127.0.0.1:9464", "[::1]:9464", "unix:/run/fp.sock"])
def test_an_address_prints_as_it_is_written(text):
    assert str(parse_listen(text)) == text


@pytest.mark.parametrize("text", ["0.0.0.0:9464", "[::]:9464", "10.0.0.7:9464", "[2001:db8::1]:80"])
def test_what_others_can_reach_is_refused_without_tls_and_says_what_to_do(text):
    with pytest.raises(ConfigError) as caught:
        parse_listen(text)
    assert caught.value.where == "server.listen"
    assert "no TLS" in caught.value.problem
    assert "127.0.0.1" in caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "9464",
        ":9464",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1:http",
        "example.org:80",
        "unix:",
    ],
)
def test_what_is_no_address_is_refused_with_the_forms_that_are(text):
    with pytest.raises(ConfigError, match=r"unix:/path"):
        parse_listen(text)


def test_a_unix_path_longer_than_the_kernel_takes_is_refused():
    with pytest.raises(ConfigError, match="choose a shorter one"):
        parse_listen("unix:/" + "x" * MAX_UNIX_PATH)
