import pytest

import meshkit_fastprobe as fp


def settings(*peers, **more):
    return fp.Settings(host="cp-1", server=fp.ServerSettings(peers=peers, **more))


def test_hosts_are_named_by_their_base():
    fp.Diagnostics(settings("https://cp-2:9464", "https://[2001:db8::2]:9464", "http://127.0.0.1:9464", "http://localhost:1"))


@pytest.mark.parametrize(
    "url",
    [
        "cp-2:9464",
        "ftp://cp-2",
        "https://",
        "https://cp-2/",
        "https://cp-2?x=1",
        "https://me@cp-2",
        "https://cp 2",
        "https://cp-2:0",
    ],
)
def test_what_is_no_base_of_a_host_is_refused(url):
    with pytest.raises(fp.ConfigError, match=r"server\.peers.*is not the URL of a host"):
        fp.Diagnostics(settings(url))


def test_tokens_do_not_travel_in_the_clear():
    with pytest.raises(fp.ConfigError, match=r"http://cp-2:9464.*in the clear"):
        fp.Diagnostics(settings("http://cp-2:9464"))


def test_a_host_is_named_once():
    with pytest.raises(fp.ConfigError, match="twice"):
        fp.Diagnostics(settings("https://cp-2", "https://cp-3", "https://cp-2"))


def test_there_are_not_more_than_the_bound():
    with pytest.raises(fp.ConfigError, match="the bound is 256"):
        fp.Diagnostics(settings(*(f"https://cp-{number}" for number in range(257))))
