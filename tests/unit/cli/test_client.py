import threading

import pytest

from meshkit_fastprobe.cli import places
from meshkit_fastprobe.cli.client import MAX_AT_ONCE, Answer, Client, ask_each
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.reading import probe_path


@pytest.fixture(autouse=True)
def no_token_of_this_user(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTPROBE_TOKEN", raising=False)
    monkeypatch.setenv("FASTPROBE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("FASTPROBE_CONFIG", str(tmp_path / "config.toml"))


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("cp-1:9464", "http://cp-1:9464"),
        ("http://cp-1:9464/", "http://cp-1:9464"),
        ("https://[::1]:9464", "https://[::1]:9464"),
        ("cp-1", "http://cp-1"),
    ],
)
def test_hosts_are_asked_by_url(written, asked):
    assert Client([written], None).hosts == [asked]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "http://",
        "ftp://cp-1",
        "cp-1:99999",
        "cp-1:0",
        "cp-1:abc",
        "http://[::bad",
        "cp 1:9464",
        "cp-1/?x=1",
        "\n",
        "user@cp-1",
    ],
)
def test_what_is_no_host_is_refused_before_anybody_is_asked(written):
    with pytest.raises(CliError) as refused:
        Client([written], None)
    assert refused.value.code is Exit.USAGE
    assert repr(written) in refused.value.what


@pytest.mark.parametrize("token", ["tökén", "two words", "line\nbreak", "\x00"])
def test_what_is_no_token_is_refused_and_not_repeated(monkeypatch, tmp_path, token):
    file = tmp_path / "token"
    file.write_text(token)
    with pytest.raises(CliError) as refused:
        places.find_token(file, [])
    assert refused.value.code is Exit.REFUSED
    assert token not in f"{refused.value.what} {refused.value.next_step}"


def test_a_token_in_the_environment_may_end_in_a_line_break(monkeypatch):
    monkeypatch.setenv("FASTPROBE_TOKEN", "secret\n")
    assert places.find_token(None, ["https://cp-1:9464"]) == "secret"


def test_a_token_that_nobody_named_goes_to_no_other_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTPROBE_TOKEN", raising=False)
    monkeypatch.setenv("FASTPROBE_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / places.TOKEN_NAME).write_text("secret\n")
    assert places.find_token(None, ["http://127.0.0.1:9464", "https://localhost:9465"]) == "secret"
    assert places.find_token(None, ["http://127.0.0.1:9464", "https://cp-1:9464"]) is None


def test_answers_come_in_the_order_of_the_hosts():
    hosts = [f"h{number}" for number in range(3 * MAX_AT_ONCE)]
    assert [answer.url for answer in ask_each(hosts, Answer)] == hosts


def test_no_more_hosts_are_asked_at_once_than_the_bound():
    asking, most, lock, full = 0, 0, threading.Lock(), threading.Barrier(MAX_AT_ONCE)

    def ask(url):
        nonlocal asking, most
        with lock:
            asking += 1
            most = max(most, asking)
        full.wait(20)
        with lock:
            asking -= 1
        return Answer(url)

    ask_each([f"h{number}" for number in range(2 * MAX_AT_ONCE)], ask)
    assert most == MAX_AT_ONCE


def test_a_mistake_of_ours_comes_out_of_the_threads():
    def ask(url):
        raise KeyError(url)

    with pytest.raises(KeyError):
        ask_each(["a", "b", "c"], ask)


@pytest.mark.parametrize(
    ("name", "path"), [("a/b c", "/probes/a%2Fb%20c"), (".", "/probes/%2E"), ("..", "/probes/%2E%2E"), ("a.b", "/probes/a.b")]
)
def test_any_name_makes_one_step_of_a_path(name, path):
    assert probe_path(name) == path
