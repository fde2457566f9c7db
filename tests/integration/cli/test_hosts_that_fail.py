"""Several hosts, some of which fail: each verb does what it can at the others, and its exit code tells the worst."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest

from meshkit_fastprobe.cli import app, following, top, wire
from meshkit_fastprobe.cli.client import PREFIX, Client
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.following import Told, follow
from meshkit_fastprobe.cli.output import Form

pytestmark = pytest.mark.integration

Says = tuple[int, dict[str, Any]]
REFUSES: Says = (403, {"title": "not allowed", "code": "denied", "hint": "ask for another role"})
EXPIRED: Says = (401, {"title": "the token has expired", "code": "unauthenticated", "hint": "get another one"})


class FakeHost:
    """Answers as it is told to, by "METHOD /path"; whatever else is asked is unknown to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.says: dict[str, Says | Callable[[], Says]] = {}
        self.done: list[dict[str, Any]] = []
        """Bodies of what was not only read."""

    def has(self, toggle: str) -> None:
        item = {"name": toggle, "value": True, "version": 7, "does": "lets experiments run"}
        self.says["GET /toggles"] = (200, {"items": [item]})
        self.says[f"PUT /toggles/{toggle}"] = (200, {"item": {**item, "value": False}})


def handler(host: FakeHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.command != "GET":
                host.done.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            path = self.path.partition("?")[0].removeprefix(PREFIX)
            said = host.says.get(f"{self.command} {path}", (404, {"title": "there is nothing"}))
            status, told = said() if callable(said) else said
            body = msgspec.msgpack.encode({"host": host.name, **told}) if status == 200 else json.dumps(told).encode()
            with suppress(OSError):  # whoever asked has given up
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        do_POST = do_PUT = do_GET  # noqa: N815 - as the library names them

        def log_message(self, *_: object) -> None:
            """Nothing: what the command prints is looked at."""

    return Handler


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FakeHost], str]]:
    monkeypatch.setenv("FASTPROBE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("FASTPROBE_TOKEN", "t")
    serving: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def serve(host: FakeHost) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(host))
        serving.append((server, threading.Thread(target=server.serve_forever, args=(0.05,))))
        serving[-1][1].start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server, thread in serving:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def gone() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def switched_off(*urls: str, **more: str) -> int:
    named = [word for url in urls for word in ("--host", url)]
    options = [word for name, value in more.items() for word in (f"--{name}", value)]
    return app.run(["toggles", "set", "chaos.enabled", "off", *options, *named])


@pytest.fixture
def two() -> tuple[FakeHost, FakeHost]:
    hosts = (FakeHost("cp-1"), FakeHost("cp-2"))
    for host in hosts:
        host.has("chaos.enabled")
    return hosts


def test_a_toggle_is_set_on_all_that_can_be_reached_and_who_cannot_is_told_with_what_to_do(start, two, gone, capsys):
    assert switched_off(gone, *map(start, two)) == Exit.UNREACHABLE
    assert [host.done for host in two] == [[{"value": False, "reason": ""}]] * 2
    shown = capsys.readouterr()
    assert [line.split()[:3] for line in shown.out.splitlines()[1:]] == [[host.name, "chaos.enabled", "off"] for host in two]
    what, next_step = shown.err.splitlines()
    assert what == f"{gone}: connection refused"
    assert next_step.startswith("  -> is a host running there?")


def test_hosts_are_asked_for_their_toggles_at_once(start, two):
    together = threading.Barrier(2)

    def when_both_are_asked(said: Says) -> Callable[[], Says]:
        def wait() -> Says:
            together.wait(5)
            return said

        return wait

    for host in two:
        host.says["GET /toggles"] = when_both_are_asked(host.says["GET /toggles"])
    assert switched_off(*map(start, two)) == Exit.WELL


def test_what_was_changed_before_another_host_refused_is_shown(start, two, capsys):
    two[1].says["PUT /toggles/chaos.enabled"] = REFUSES
    urls = list(map(start, two))
    assert switched_off(*urls, output="json") == Exit.REFUSED
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert [(item["host"], item["value"]) for item in told["items"]] == [("cp-1", False)]
    assert told["problems"] == [{"host": urls[1], "problem": "not allowed", "hint": "ask for another role"}]
    assert shown.err.splitlines() == [f"{urls[1]}: not allowed", "  -> ask for another role"]


def test_a_host_without_the_toggle_does_not_keep_the_others_from_changing_theirs(start, two, capsys):
    two[0].says["GET /toggles"] = (200, {"items": []})
    urls = list(map(start, two))
    assert switched_off(*urls) == Exit.USAGE
    assert [len(host.done) for host in two] == [0, 1]
    what, next_step = capsys.readouterr().err.splitlines()
    assert what == f"{urls[0]}: no toggle is named 'chaos.enabled'"
    assert "fastprobe toggles list" in next_step


def test_the_only_host_that_fails_ends_the_command(start, two, capsys):
    two[0].says["GET /toggles"] = (200, {"items": []})
    assert switched_off(start(two[0])) == Exit.USAGE
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()[0]) == ("", "fastprobe: no toggle is named 'chaos.enabled'")


def test_a_dry_run_tells_of_all_and_asks_nobody_to_change(start, two, gone, capsys):
    urls = list(map(start, two))
    named = [word for url in (urls[0], gone, urls[1]) for word in ("--host", url)]
    assert app.run(["toggles", "set", "chaos.enabled", "off", "--dry-run", *named]) == Exit.UNREACHABLE
    assert capsys.readouterr().out.splitlines() == [f"would set chaos.enabled to off on {url}; it is on" for url in urls]
    assert [host.done for host in two] == [[], []]


def refusing(start: Callable[[FakeHost], str], count: int) -> Client:
    hosts = [FakeHost(f"cp-{number}") for number in range(count)]
    for host in hosts:
        host.says["GET /events"] = EXPIRED
    return Client([start(host) for host in hosts], None)


@pytest.mark.parametrize("count", [1, 3])
def test_events_end_when_all_hosts_refuse(start, capsys, count):
    ended: SimpleQueue[CliError] = SimpleQueue()

    def until_the_end(client: Client) -> None:
        try:
            follow(client, [], Form.table)
        except CliError as error:
            ended.put(error)

    threading.Thread(target=until_the_end, args=(refusing(start, count),), daemon=True).start()
    error = ended.get(timeout=20)
    assert (error.what, error.next_step, error.code) == ("the token has expired", "get another one", Exit.REFUSED)
    assert len(capsys.readouterr().err.splitlines()) == (0 if count == 1 else count)  # one alone is told by the error


class UntilInterrupted(SimpleQueue[Told | CliError]):
    """Ctrl-C comes once all was heard."""

    def get(self, block: bool = True, timeout: float | None = None) -> Told | CliError:
        if self.empty():
            raise KeyboardInterrupt
        return super().get(block, timeout)


@pytest.mark.parametrize(
    ("refuses", "breaks", "code"),
    [(True, True, Exit.REFUSED), (True, False, Exit.REFUSED), (False, True, Exit.UNREACHABLE), (False, False, Exit.WELL)],
)
def test_events_of_hosts_of_which_one_refused_end_with_a_refusal(monkeypatch, capsys, gone, refuses, breaks, code):
    heard = UntilInterrupted()
    if refuses:
        heard.put(Told("cp-1", "problem", {"message": "the token has expired"}, Exit.REFUSED))
        heard.put(CliError("the token has expired", "", Exit.REFUSED))
    if breaks:
        heard.put(Told("cp-2", "problem", {"message": "hung up; trying again"}, Exit.UNREACHABLE))
    monkeypatch.setattr(following, "listen", lambda *_: heard)
    assert follow(Client([gone, "http://127.0.0.1:1"], None), [], Form.table) == code


def test_a_halt_from_top_is_waited_for_as_long_as_one_from_chaos_halt(start, monkeypatch):
    monkeypatch.setattr(wire, "TIMEOUT_S", 0.2)
    host = FakeHost("cp-1")

    def halts() -> Says:
        time.sleep(1)
        return (200, {"item": {"runs": [{"id": "a-1", "phase": "aborted"}]}})

    host.says["POST /chaos:halt"] = halts
    news, again = SimpleQueue[Any](), threading.Event()
    top._halt(Client([start(host)], None), news, again)
    assert (news.get(), again.is_set()) == ("all chaos is halted; 1 runs were ended", True)


def test_who_refuses_to_halt_is_told_apart_from_who_does_not_answer_in_time(start, gone, monkeypatch):
    monkeypatch.setattr(wire, "DOING_S", 0.2)
    let_go, slow, refuses = threading.Event(), FakeHost("cp-1"), FakeHost("cp-2")

    def halts() -> Says:
        let_go.wait(20)
        return (200, {"item": {"runs": []}})

    slow.says["POST /chaos:halt"], refuses.says["POST /chaos:halt"] = halts, REFUSES
    urls, news = [start(slow), start(refuses)], SimpleQueue[Any]()
    top._halt(Client([*urls, gone], None), news, threading.Event())
    let_go.set()
    unsure = f"halt not confirmed: {urls[0]}: no answer within 0 s; {gone}: connection refused"
    assert news.get() == f"NOT HALTED: {urls[1]}: not allowed; {unsure}"


def test_top_ends_with_the_code_of_status(start, gone):
    expired, well = FakeHost("cp-1"), FakeHost("cp-2")
    expired.says["GET /groups"] = EXPIRED
    well.says["GET /groups"] = (200, {"items": [{"tags": {}, "probes": 1, "states": {"healthy": 1}}]})
    client = Client([start(expired), start(well), gone], None)
    refused, answered, silent = client.each_at_once(lambda url: top._look(client, url, []))
    codes = [top._code(seen) for seen in ([refused, silent], [answered, silent], [answered])]
    assert codes == [Exit.REFUSED, Exit.UNREACHABLE, Exit.WELL]


@pytest.mark.parametrize("verb", ["faults", "list", "history", "objects"])
def test_documents_about_chaos_name_the_hosts_that_gave_no_answer(start, gone, capsys, verb):
    host = FakeHost("cp-1")
    for path in ("/chaos/faults", "/chaos/experiments", "/chaos/runs", "/chaos/objects"):
        host.says[f"GET {path}"] = (200, {"items": []})
    code = app.run(["chaos", verb, "-o", "json", "--host", start(host), "--host", gone])
    told = json.loads(capsys.readouterr().out)
    assert (code, told["items"]) == (Exit.UNREACHABLE, [])
    assert [(one["host"], one["problem"]) for one in told["problems"]] == [(gone, "connection refused")]
