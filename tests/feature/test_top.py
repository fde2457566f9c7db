"""`fastprobe top` on a real terminal, in front of a real host."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest

from .conftest import FASTPROBE, PATIENCE_S, until

pytestmark = [
    pytest.mark.feature,
    pytest.mark.skipif(sys.platform != "linux", reason="reads a pseudo-terminal as Linux has them"),
]


class Top:
    """A `fastprobe top` at 80x24, with what it has written."""

    def __init__(self, host, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        environment = {name: value for name, value in host.environment.items() if name not in {"COLUMNS", "LINES"}}
        command = [*FASTPROBE, "top", "--host", f"http://{host.listen}", *arguments]
        self.process = subprocess.Popen(
            command, env={**environment, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        self.written = ""

    def shows(self, text: str) -> bool:
        """Within our patience."""
        deadline_s = time.monotonic() + PATIENCE_S
        while text not in self.plain() and time.monotonic() < deadline_s:
            if select.select([self.master], [], [], 0.1)[0]:
                self.written += os.read(self.master, 65536).decode("utf-8", "replace")
        return text in self.plain()

    def plain(self) -> str:
        """Without what is bold or reversed, which NO_COLOR leaves."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.written)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def running(host, tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        config = tmp_path / "fastprobe.toml"
        config.write_text(
            f'[host]\nname = "cp-1"\ncluster = "eu-1"\nstate_dir = "{host.state_dir}"\n\n'
            f'[server]\nlisten = "{host.listen}"\n\n[chaos]\n\n'
            '[[chaos.experiment]]\nid = "rehearsal"\nfault = "null"\ntarget = "there"\nduration = "10m"\n\n'
            '[[probe]]\nname = "gone"\nkind = "tcp"\ntarget = "127.0.0.1:9"\ninterval = "200ms"\ntimeout = "100ms"\n\n'
            f'[[probe]]\nname = "there"\nkind = "tcp"\ntarget = "127.0.0.1:{server.getsockname()[1]}"\n'
            'interval = "1s"\ntimeout = "500ms"\n'
        )
        host.start("run", str(config))
        until(lambda: host.probe("gone").get("state") == "unhealthy", "the probe runs")
        yield host


@pytest.fixture
def top(running):
    made = Top(running)
    yield made
    made.end()


def test_it_shows_what_is_wrong_and_leaves_the_terminal_as_it_was(top):
    assert top.shows("connect_refused")
    assert top.shows("cp-1")
    top.press("q")
    assert top.shows("\x1b[?1049l"), "the screen from before is back"
    assert top.process.wait(PATIENCE_S) == 1
    assert termios.tcgetattr(top.slave) == top.before


def test_chaos_in_force_is_a_banner_and_h_asks_once_to_halt_it(top, running):
    for toggle in ("chaos.enabled", "chaos.null.enabled"):
        assert running.ask("toggles", "set", toggle, "on").returncode == 0
    assert running.ask("chaos", "activate", "rehearsal", "--yes").returncode == 0
    assert top.shows("rehearsal: null on cp-1, active, ends in 9m")
    top.press("h")
    assert top.shows("halt ALL chaos on cp-1")
    top.press("y")
    assert top.shows("all chaos is halted; 1 runs were ended")
    assert '"chaos.halt"' in running.ask("audit", "list", "-o", "json").stdout


def test_a_host_that_goes_away_is_said_and_comes_back(top, running):
    assert top.shows("connect_refused")
    [process] = running.processes
    process.terminate()
    process.wait(PATIENCE_S)
    assert top.shows("connection refused")
    top.press("q")
    assert top.process.wait(PATIENCE_S) == 4


def test_without_a_terminal_it_says_what_to_use_instead(host):
    ended = host.run("top")
    assert ended.returncode == 2
    assert "needs a terminal" in ended.stderr
    assert "fastprobe status" in ended.stderr
