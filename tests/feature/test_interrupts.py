"""Ctrl-C and lost readers: a command that is ended says so in a line, soon, and without a traceback."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def silent():
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def interrupt(host, silent, *arguments):
    """Ctrl-C once the command waits for its answer."""
    process = host.start(*arguments)
    silent.settimeout(20)
    asked, _ = silent.accept()
    with asked:
        assert asked.recv(1)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    return process.returncode, err, time.monotonic() - began


def test_once_ends_at_ctrl_c(host, silent, tmp_path):
    config = tmp_path / "c.toml"
    target = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    config.write_text(f'[[probe]]\nname = "a"\nkind = "http"\ntarget = "{target}"\ninterval = "60s"\ntimeout = "50s"\n')
    code, err, _ = interrupt(host, silent, "once", str(config))
    assert (code, err.strip()) == (130, "fastprobe: interrupted")


def test_asking_several_hosts_ends_at_ctrl_c_without_waiting_for_them(host, silent):
    address = f"127.0.0.1:{silent.getsockname()[1]}"
    code, err, took_s = interrupt(host, silent, "probes", "list", "--host", address, "--host", address)
    assert (code, err.strip()) == (130, "fastprobe: interrupted")
    assert took_s < 9, "the hosts' timeout of 10 s is not waited for"


def test_a_full_disk_is_told_in_a_line(host):
    command = [sys.executable, "-m", "meshkit_fastprobe", "config", "schema"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=host.environment, check=False)
    assert ended.returncode == 5
    assert ended.stderr.splitlines() == [
        "fastprobe: cannot write: No space left on device",
        "  -> make room, or write elsewhere",
    ]
