"""Out of ephemeral ports: what could not be asked is skipped for our own reason, and no target is blamed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.feature

PORTS, PROBES = 4, 20
PROGRAM = f"""
import fcntl, json, socket, struct, trio
from pathlib import Path
import meshkit_fastprobe as fp

Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("20000 {19999 + PORTS}")
silent = socket.socket()
fcntl.ioctl(silent, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
silent.bind(("127.0.0.1", 9000))
silent.listen(0)
filling = [socket.socket() for _ in range(3)]  # the accept queue is full: a connection hangs, and keeps its port
for i, sock in enumerate(filling):
    sock.bind(("127.0.0.1", 30000 + i))
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", 9000))

async def main():
    diag = fp.Diagnostics(fp.Settings(host="ports", first_run_window_s=0.2))
    for i in range({PROBES}):
        diag.add(fp.TcpProbe("127.0.0.1:9000"), name=f"t{{i}}", interval=86_400, timeout=3)
    async with diag:
        with trio.fail_after(60):
            while (told := diag.snapshot().totals).runs + told.skipped < {PROBES}:
                await trio.sleep(0.05)
        told = diag.snapshot().totals
    print(json.dumps({{"timeout": told.timeout, "fail": told.fail, "error": told.error, "skipped": told.skipped_by_reason}}))

trio.run(main)
"""


def test_who_finds_no_port_is_skipped_and_not_failed():
    try:
        ended = subprocess.run(
            ["unshare", "-Urn", sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
        )
    except FileNotFoundError:
        pytest.skip("needs unshare: apt-get install util-linux")
    if ended.stderr.startswith("unshare:"):
        pytest.skip(f"this kernel gives no network namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["fail"], told["error"]) == (0, 0)
    assert told["timeout"] >= PORTS  # a host so slow that a run ends before the next begins gives its port on
    assert set(told["skipped"]) == {"ports"}
    assert told["timeout"] + told["skipped"]["ports"] >= PROBES  # more where the phase of one comes round within those seconds
