from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import msgspec
import pytest

from meshkit_fastprobe.cli import members
from meshkit_fastprobe.cli.app import VERBS, run, tree
from meshkit_fastprobe.cli.client import Answer
from meshkit_fastprobe.cli.completion import candidates

WRITES = {"probes run", "probes pause", "probes resume", "toggles set", "chaos stop"}
ONE_HOST = {"chaos prepare", "chaos approve", "chaos activate", "chaos receipt", "chaos scenario run", "chaos scenario lint"}
THE_FLEET_ITSELF = {"fleet members", "fleet shards", "fleet status"}


def options(verb):
    command = tree(verb.split()[0])
    for word in verb.split():
        command = command.commands[word]
    return {option.name for option in command.params}


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "host" in options(verb)])
def test_what_reads_and_what_ends_chaos_takes_the_whole_fleet_and_nothing_else_does(verb):
    assert ("fleet" in options(verb)) == (verb not in WRITES | ONE_HOST | THE_FLEET_ITSELF)


def test_the_flag_and_the_verbs_are_completed():
    assert [word for word, _ in candidates(["fleet", ""])] == ["members", "shards", "status"]
    assert [word for word, _ in candidates(["chaos", "halt", "--fl"])] == ["--fleet"]
    assert [word for word, _ in candidates(["probes", "show", "--fleet", "--n"])] == []


@pytest.mark.parametrize(
    ("url", "teller", "may"),
    [
        ("https://cp-2:9464", "http://127.0.0.1:9464", True),
        ("https://cp-2:9464", "https://cp-1:9464", True),
        ("http://127.0.0.1:9465", "http://127.0.0.1:9464", True),
        ("http://[::1]:9465", "http://localhost:9464", True),
        ("http://10.0.0.1:9464", "http://10.0.0.1:9464", True),  # the teller itself, which was named by the user
        ("http://10.0.0.2:9464", "http://127.0.0.1:9464", False),
        ("http://127.0.0.1:9465", "https://cp-1:9464", False),  # loopback of another machine
        ("http://127.0.0.1.example.org", "http://127.0.0.1:9464", False),
        ("@/etc/hosts", "http://127.0.0.1:9464", False),
        ("http://[::1", "http://127.0.0.1:9464", False),
        ("", "http://127.0.0.1:9464", False),
    ],
)
def test_a_token_follows_only_where_it_stays_secret(url, teller, may):
    assert members.may_follow(url, teller) is may


def test_the_teller_is_where_it_was_asked():
    items = [{"name": "cp-3", "here": True}, {"name": "cp-1", "url": "https://cp-1"}]
    told = members.members_of(Answer("https://cp-3", {"host": "cp-3", "items": items}))
    assert [item["url"] for item in told] == ["https://cp-3", "https://cp-1"]


def test_a_host_that_is_not_there_tells_nothing(capsys):
    assert run(["status", "--fleet", "--host", "127.0.0.1:1", "--host", "127.0.0.1:2"]) == 4
    what, next_step = capsys.readouterr().err.splitlines()
    assert what == "fastprobe: none of 2 hosts answers; http://127.0.0.1:2: connection refused"
    assert next_step.startswith("  -> is a host running there?")


@pytest.fixture
def liar():
    """Something that tells of a host where a token would travel in the clear."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            items = [{"name": "liar", "here": True}, {"name": "x", "url": "http://203.0.113.7:9464"}]
            body = msgspec.msgpack.encode({"host": "liar", "items": items})
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    asked = []
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_who_tells_of_a_host_in_the_clear_is_not_followed(liar, monkeypatch, capsys):
    monkeypatch.setenv("FASTPROBE_TOKEN", "of.an.issuer")
    url, asked = liar
    assert run(["chaos", "halt", "--fleet", "--host", url]) == 3
    what, next_step = capsys.readouterr().err.splitlines()
    assert "liar tells of 'http://203.0.113.7:9464': nobody was asked" in what
    assert next_step == "  -> name https://HOST:PORT in [server] peers of liar"
    assert asked == ["/meshkit/diagnostics/v1/fleet/hosts?ask=false"]  # which waits for no host that is silent
