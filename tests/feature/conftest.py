"""The command line as a person starts it: real processes, real ports, real signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FASTPROBE = [sys.executable, "-m", "meshkit_fastprobe"]
PATIENCE_S = 60.0
BROWSER_PATIENCE_MS = 60_000


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true, within PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children() -> Iterator[None]:
    """A shell starts what runs in its background deaf to ctrl-c, and the deaf have deaf children."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Host:
    """A running `fastprobe` process with its own port and state directory."""

    def __init__(self, tmp_path: Path) -> None:
        self.state_dir = tmp_path / "state"
        self.listen = f"127.0.0.1:{free_port()}"
        self.environment = {**os.environ, "FASTPROBE_STATE_DIR": str(self.state_dir), "COLUMNS": "120", "NO_COLOR": "1"}
        self.environment["FASTPROBE_CONFIG"] = str(tmp_path / "config.toml")
        for name in ("FASTPROBE_TOKEN", "FASTPROBE_CONTEXT"):
            self.environment.pop(name, None)
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*FASTPROBE, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FASTPROBE, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def program(self, *command: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        """Something that is not ours, in the same environment."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(*arguments, "--host", f"http://{self.listen}")

    def probe(self, name: str) -> dict[str, Any]:
        """One probe as the running host tells it; empty while it does not answer."""
        answer = self.ask("probes", "show", name, "-o", "json")
        return json.loads(answer.stdout) if answer.stdout.startswith("{") else {}

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=BROWSER_PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh one; whatever it complains of, a breach of its own policy above all, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(BROWSER_PATIENCE_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert complaints == []
