"""A scenario's hands on a host that takes its time: waited for as the verbs of experiments wait, and by nobody who leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
import trio

from meshkit_fastprobe.chaos.scenarios.hands import HostLostError
from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.cli import wire
from meshkit_fastprobe.cli.client import Client
from meshkit_fastprobe.cli.scenario_hands import HttpHands

pytestmark = pytest.mark.integration


class Slow(BaseHTTPRequestHandler):
    """Verbs are answered once `let_go` is set; what only reads, at once."""

    protocol_version = "HTTP/1.1"
    let_go: threading.Event
    asked: list[str]

    def do_GET(self) -> None:
        self._tell("active")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.append(self.path.rpartition(":")[2])
        self.let_go.wait(20)
        self._tell("aborted" if self.path.endswith(":stop") else "active")

    def _tell(self, phase: str) -> None:
        run = {"id": "a-1", "phase": phase, "plan": {"id": "p", "manual": ""}}
        body = msgspec.msgpack.encode({"host": "cp-1", "item": {"id": "a", "run": run}})
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def host(tmp_path, monkeypatch) -> Iterator[tuple[HttpHands, type[Slow]]]:
    monkeypatch.setattr(wire, "TIMEOUT_S", 0.3)

    class Here(Slow):
        let_go, asked = threading.Event(), []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Here)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    token = tmp_path / "token"
    token.write_text("t")
    yield HttpHands(Client([f"http://127.0.0.1:{server.server_address[1]}"], token)), Here
    Here.let_go.set()
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.mark.parametrize("verb", ["activate", "stop"])
async def test_a_verb_that_takes_a_host_its_time_is_waited_for(host, verb):
    hands, here = host
    threading.Timer(1.0, here.let_go.set).start()
    if verb == "activate":
        assert (await hands.activate("a", "t")).phase is Phase.ACTIVE
    else:
        assert (await hands.stop("a", "a-1", "over")).phase is Phase.ABORTED
    assert here.asked == [verb]


async def test_no_verb_is_waited_for_beyond_the_bound(host, monkeypatch):
    hands, _ = host
    monkeypatch.setattr("meshkit_fastprobe.cli.scenario_hands.DOING_S", 0.5)
    with pytest.raises(HostLostError, match="no answer within"):
        await hands.activate("a", "t")


async def test_who_ends_a_scenario_waits_for_no_activation_before_it_is_undone(host):
    hands, here = host
    began = time.monotonic()
    with trio.move_on_after(0.5):
        await hands.activate("a", "t")
    assert time.monotonic() - began < 5
    threading.Timer(0.1, here.let_go.set).start()
    assert (await hands.stop("a", "a-1", "cancelled")).phase is Phase.ABORTED
    assert here.asked == ["activate", "stop"]
