"""What this host runs out of is skipped by its reason on every lane, and no target is blamed. Each in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

SCRIPT = """
import errno, json, os, resource, socket, struct, sys, fcntl
import trio
import meshkit_fastprobe as fp

WHAT, LANE = sys.argv[1:]
PORTS = (20000, 20001)


def listener():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 9000))
    sock.listen(64)
    return sock


def ask():
    with socket.create_connection(("127.0.0.1", 9000)):
        pass


async def ask_on_trio():
    async with await trio.open_tcp_stream("127.0.0.1", 9000):
        pass


def probe():
    if LANE == "thread":
        return ask
    return ask_on_trio if LANE == "async" else fp.TcpProbe("127.0.0.1:9000")


def run_out():
    if WHAT == "descriptors":
        taken = [os.open("/dev/null", os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
        file.write("20000 20001")
    for port in PORTS:  # both towards this listener: there is no third
        holding = socket.socket()
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.bind(("127.0.0.1", port))
        holding.connect(("127.0.0.1", 9000))
        kept.append(holding)


async def main():
    settings = fp.Settings(host="test", max_probes=8, max_connections=8, native_lane=LANE == "native")
    diag = fp.Diagnostics(settings)
    diag.add(probe(), name="it", interval="1h", initial_delay="1h", timeout="20s")
    async with diag:
        with trio.fail_after(60):
            if LANE != "native":  # which would keep the socket, and need no other
                await diag.run_once("it")
            run_out()
            skipped = None
            try:
                await diag.run_once("it")
            except fp.SkippedError as error:
                skipped = str(error)
        view = diag.view("it")
        totals = diag.snapshot().totals.skipped_by_reason
    print(json.dumps({"runs": view.runs, "state": view.state.name, "skipped": skipped, "reasons": totals}))


if WHAT == "ports":
    up = struct.pack("16sh22x", b"lo", 0x41)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, up)
kept = [listener()]
trio.run(main)
"""

lanes = pytest.mark.parametrize("lane", ["native", "task", "async", "thread"])


def run(what: str, lane: str, *before: str) -> dict[str, Any]:
    command = [*before, sys.executable, "-W", "ignore::ResourceWarning", "-c", SCRIPT, what, lane]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def blames_nobody(told: dict[str, Any], reason: str) -> None:
    assert sum(told["runs"].values()) == told["runs"]["ok"]
    assert told["state"] in {"HEALTHY", "UNKNOWN"}
    assert told["reasons"] == {reason: 1}
    assert reason in str(told["skipped"])


@lanes
def test_without_descriptors_runs_are_skipped(lane):
    blames_nobody(run("descriptors", lane), "descriptors")


@cache
def namespaces() -> bool:
    """Whether this user may make network namespaces here, and set the range of ports in them."""
    if shutil.which("unshare") is None or not Path("/proc/sys/net/ipv4/ip_local_port_range").exists():
        return False
    tried = "echo 20000 20001 > /proc/sys/net/ipv4/ip_local_port_range"
    return subprocess.run(["unshare", "-Urn", "sh", "-c", tried], capture_output=True, check=False).returncode == 0


@lanes
def test_without_ports_runs_are_skipped(lane):
    if not namespaces():
        pytest.skip("this user may not make network namespaces (unshare -Urn)")
    blames_nobody(run("ports", lane, "unshare", "-Urn"), "ports")
