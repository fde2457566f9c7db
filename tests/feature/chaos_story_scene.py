"""An operator's afternoon, in a network namespace of its own: what tests/feature/test_chaos_story.py tells of."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
SERVICE, PROXY, HOST = "127.0.0.1:18080", "127.0.0.1:18081", "127.0.0.1:19464"
CONFIG = f"""
[host]
name = "cp-1"
state_dir = "STATE"

[server]
listen = "{HOST}"

[chaos]
cooldown = "0s"

[[chaos.proxy]]
name = "orders"
listen = "{PROXY}"
upstream = "{SERVICE}"

[[probe]]
name = "orders"
kind = "http"
targets = ["http://{PROXY}/a", "http://{PROXY}/b", "http://{PROXY}/c"]
interval = "200ms"
timeout = "200ms"
degraded_above = "100ms"
namespace = "orders"

[[chaos.experiment]]
id = "slow"
fault = "latency"
proxy = "orders"
delay = "120ms"
duration = "3s"
steady_state = {{ namespace = "orders", healthy_ratio = 0.9 }}

[[chaos.experiment]]
id = "lossy"
fault = "packet_loss"
targets = ["{SERVICE}"]
ratio = 0.3
direction = "out"
duration = "3s"
steady_state = {{ namespace = "orders", healthy_ratio = 0.0 }}

[[chaos.experiment]]
id = "too-strong"
fault = "packet_loss"
targets = ["{SERVICE}"]
ratio = 1.0
direction = "out"
duration = "60s"
steady_state = {{ namespace = "orders", healthy_ratio = 0.9 }}

[[chaos.experiment]]
id = "killed"
fault = "packet_loss"
targets = ["{SERVICE}"]
ratio = 1.0
direction = "out"
duration = "60s"
"""


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None: ...


def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"it never came to be: {what}")


class Operator:
    """Who has nothing but the command line."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "fastprobe.toml"
        self.config.write_text(CONFIG.replace("STATE", str(folder / "state")))
        self.log = folder / "log"
        self.environment = {**os.environ, "FASTPROBE_STATE_DIR": str(folder / "state"), "NO_COLOR": "1"}
        self.host = self.started()

    def started(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            host = subprocess.Popen(
                [sys.executable, "-m", "meshkit_fastprobe", "run", str(self.config)],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        until(lambda: self.says("status") is not None, "the host answers")
        return host

    def says(self, *verb: str) -> Any:
        """What a verb prints as JSON; None when it fails."""
        command = [sys.executable, "-m", "meshkit_fastprobe", *verb, "--host", f"http://{HOST}", "-o", "json"]
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        return json.loads(ended.stdout) if ended.stdout.strip() and ended.returncode <= 1 else None

    def does(self, *verb: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "meshkit_fastprobe", *verb, "--host", f"http://{HOST}"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    def locally(self, *verb: str) -> str:
        command = [sys.executable, "-m", "meshkit_fastprobe", *verb]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False).stdout

    def run(self, experiment: str) -> dict[str, Any]:
        told: dict[str, Any] = self.says("chaos", "show", experiment)["run"]
        return told

    def ended(self, experiment: str) -> dict[str, Any]:
        alive = {"armed", "injecting", "active", "reverting", "recovering"}
        return until(lambda: (run := self.run(experiment))["phase"] not in alive and run, f"{experiment} ends")

    def states(self) -> set[str]:
        return {probe["state"] for probe in self.says("probes", "list")["items"]}

    def activates(self, experiment: str) -> str:
        ended = self.does("chaos", "activate", experiment, "--yes", "--reason", "the game day")
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


def reachable() -> bool:
    host, _, port = SERVICE.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=0.2).close()
    except OSError:
        return False
    return True


def play(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {}
    operator = Operator(folder)
    until(lambda: operator.states() == {"healthy"}, "all is well")
    told["refused"] = operator.does("chaos", "activate", "slow", "--yes").stderr
    for toggle in ("chaos.enabled", "chaos.latency.enabled", "chaos.packet_loss.enabled"):
        operator.does("toggles", "set", toggle, "on")

    operator.activates("slow")
    told["while_slow"] = sorted(until(lambda: (states := operator.states()) != {"healthy"} and states, "slowness is seen"))
    told["slow"] = operator.ended("slow")

    operator.activates("lossy")
    told["lossy"] = operator.ended("lossy")
    until(lambda: operator.states() == {"healthy"}, "all is well again")

    operator.activates("too-strong")
    told["too_strong"] = operator.ended("too-strong")
    told["reachable_after_abort"] = reachable()
    until(lambda: operator.states() == {"healthy"}, "all is well again")

    operator.activates("killed")
    told["reachable_while_active"] = reachable()
    operator.host.send_signal(signal.SIGKILL)
    operator.host.wait()
    began = time.monotonic()
    until(reachable, "the fault is gone")
    told["gone_after_kill_s"] = time.monotonic() - began
    operator.host = operator.started()
    told["killed"] = operator.says("chaos", "history", "--experiment", "killed")["items"][0]
    told["objects"] = operator.says("chaos", "objects")["items"]
    told["halted"] = operator.does("chaos", "halt", "--reason", "the day is over").stdout
    told["after_halt"] = operator.does("chaos", "activate", "slow", "--yes").stderr
    told["audit"] = operator.locally("audit", "verify", "--state-dir", str(folder / "state"))
    operator.host.send_signal(signal.SIGTERM)
    told["ended"] = operator.host.wait(PATIENCE_S)
    return told


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    host, _, port = SERVICE.rpartition(":")
    service = ThreadingHTTPServer((host, int(port)), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(play(Path(folder))))
