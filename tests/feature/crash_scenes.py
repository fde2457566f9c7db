"""The crash matrix, played in a network namespace of its own: every step of an experiment times everything that can happen."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from meshkit_fastprobe.security.audit_store import verify

HERE = Path(__file__).parent
PHASES = ("prepared", "armed", "injecting", "active", "reverting", "recovering")
EVENTS = ("kill", "stop", "backend", "disk", "error", "later", "earlier", "removed", "halt", "off", "role")
AT_ONCE = 3
PATIENCE_S = 60.0
FIRST_PORT = 20_000


def passes(port: int) -> bool:
    """Whether a datagram to this port arrives."""
    target = ("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind(target)
        try:
            client.sendto(b"?", target)
            server.recv(16, socket.MSG_DONTWAIT)
        except (BlockingIOError, PermissionError):
            return False
    return True


def tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def case(phase: str, event: str, port: int) -> dict[str, object]:
    """One host, one trouble at one step; then the same host started again."""
    mark = f"{event}-{phase}"
    with tempfile.TemporaryDirectory() as folder:
        # A file system of its own, so that "the disk is full" is said by the kernel.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
        try:
            return played(Path(folder), mark, port, phase, event)
        finally:
            subprocess.run(["umount", folder], check=True)


def played(folder: Path, mark: str, port: int, phase: str, event: str) -> dict[str, object]:
    command = [sys.executable, str(HERE / "crash_host.py"), str(folder), mark, str(port)]
    process = subprocess.Popen([*command, phase, event], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = wait_for(process, event)
    began = time.monotonic()
    while not passes(port):
        assert time.monotonic() - began < PATIENCE_S, f"{mark}: the fault is still there"
        time.sleep(0.005)
    gone_s = time.monotonic() - began
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, errors
    (folder / "filler").unlink(missing_ok=True)
    again = subprocess.run([*command, "restart", "none"], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    return {
        "phase": phase,
        "event": event,
        "reached": any("reached" in line for line in said),
        "ended": next((line["ended"] for line in said if "ended" in line), None),
        "gone_s": gone_s,
        "after": told["runs"],
        "objects": told["objects"],
        "audit": str(verify(folder / "audit").verdict),
    }


def wait_for(process: subprocess.Popen[str], event: str) -> list[dict[str, object]]:
    """What it said until it ended, or was stopped."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        pid, status = os.waitpid(process.pid, os.WNOHANG | (os.WUNTRACED if event == "stop" else 0))
        if pid and os.WIFSTOPPED(status):
            break
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.002)
    else:
        process.send_signal(signal.SIGABRT)
        raise AssertionError(f"{process.args}: it never ended: {process.communicate()}")
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    return [json.loads(line) for line in (process.stdout.read() or "").splitlines()]


def matrix(cases: list[tuple[str, str]]) -> dict[str, object]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = pool.map(lambda one: case(*one[1], FIRST_PORT + one[0]), enumerate(cases))
        return {"results": list(results), "tables": tables()}


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    chosen = [(sys.argv[1], sys.argv[2])] if sys.argv[1:] else [(phase, event) for phase in PHASES for event in EVENTS]
    print(json.dumps(matrix(chosen)))
