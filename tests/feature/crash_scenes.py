"""The crash matrix, played in a network namespace of its own: every step of an experiment times everything that can happen."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from meshkit_fastprobe.security.audit_store import verify

HERE = Path(__file__).parent
PHASES = ("prepared", "armed", "injecting", "active", "reverting", "recovering")
EVENTS = {
    "kill": "SIGKILL",
    "stop": "SIGSTOP",
    "backend": "the backend raises",
    "disk": "the disk is full",
    "error": "EIO under journal and audit",
    "later": "the wall clock jumps an hour ahead",
    "earlier": "the wall clock jumps an hour back",
    "removed": "somebody takes the table away",
    "namespace": "the target's network namespace is removed",
    "target": "the target is killed",
    "halt": "halt",
    "off": "the kind is switched off",
    "role": "the role is taken back",
}
"""What happens, and what people call it."""
AT_ONCE = 3
PATIENCE_S = 60.0
COPIED_S = 10.0
"""For so long at most: what another thread begins holds copies of our descriptors until it is another program."""
FIRST_PORT = 20_000


def passes(port: int) -> bool:
    """Whether a datagram to this port arrives."""
    target = ("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        bind(server, target)
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
    with tempfile.TemporaryDirectory() as folder, victim(event, port) as environment:
        # A file system of its own, so that "the disk is full" is said by the kernel.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
        try:
            return played(Path(folder), mark, port, phase, event, environment)
        finally:
            unmount(folder)


def bind(sock: socket.socket, address: tuple[str, int]) -> None:
    """See COPIED_S: the port of the look before may still be held."""
    deadline = time.monotonic() + COPIED_S
    while True:
        try:
            return sock.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        time.sleep(0.001)


def unmount(folder: str) -> None:
    """See COPIED_S: a file in it may still be open."""
    deadline = time.monotonic() + COPIED_S
    while (done := subprocess.run(["umount", folder], capture_output=True, text=True, check=False)).returncode:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.05)


@contextlib.contextmanager
def victim(event: str, port: int) -> Iterator[dict[str, str]]:
    """Who is killed: a server at the target, or all of the network namespace in which the target is."""
    if event not in {"target", "namespace"}:
        yield {}
        return
    away = event == "namespace"
    server = f"import socket, time; socket.create_server(('127.0.0.1', {port})); time.sleep(600)"
    command = ["unshare", "-n", "sleep", "600"] if away else [sys.executable, "-c", server]
    process = subprocess.Popen(command)
    try:
        told = {"CRASH_VICTIM": str(process.pid)}
        if away:
            told["CRASH_TARGET"] = linked(process.pid, port)
        yield told
    finally:
        process.kill()
        process.wait()


def linked(pid: int, port: int) -> str:
    """An address in that process's namespace, once it has one, at the other end of a link from here."""
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        time.sleep(0.002)
    number = port - FIRST_PORT
    link, peer, net = f"v{number}", f"p{number}", f"10.77.{number}"
    inside = ["nsenter", "-t", str(pid), "-n"]
    for command in (
        ["ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", str(pid)],
        ["ip", "address", "add", f"{net}.1/30", "dev", link],
        ["ip", "link", "set", link, "up"],
        [*inside, "ip", "address", "add", f"{net}.2/30", "dev", peer],
        [*inside, "ip", "link", "set", peer, "up"],
    ):
        subprocess.run(command, check=True)
    return f"{net}.2:{port}"


def played(folder: Path, mark: str, port: int, phase: str, event: str, environment: dict[str, str]) -> dict[str, object]:
    control = folder / "control"
    control.write_bytes(bytes(8))
    command = [sys.executable, str(HERE / "crash_host.py"), str(folder), mark, str(port)]
    environment = {**os.environ, "LD_PRELOAD": os.environ["CRASH_PRELOAD"], "CRASH_CONTROL": str(control), **environment}
    process = subprocess.Popen([*command, phase, event], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    harmless = partial(passes, port) if event != "namespace" else lambda: f"meshkit_{mark}\n" not in tables()
    said, gone_s = watched(process, event, harmless)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, errors
    (folder / "filler").unlink(missing_ok=True)
    control.write_bytes(bytes(8))
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


def watched(
    process: subprocess.Popen[bytes], event: str, harmless: Callable[[], bool]
) -> tuple[list[dict[str, object]], float]:
    """What it said until it ended, or was stopped, and nothing was hurt any more; and how long after the trouble that was."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    deadline = time.monotonic() + PATIENCE_S
    said, happened, last_hurt, over = b"", None, 0.0, False
    while time.monotonic() < deadline:
        said += process.stdout.read() or b""
        if happened is None and b'"reached"' in said:
            happened = time.monotonic()
        hurts = not harmless()
        if hurts:
            last_hurt = time.monotonic()
        if not over:
            pid, status = os.waitpid(process.pid, os.WNOHANG | (os.WUNTRACED if event == "stop" else 0))
            over = bool(pid)
            if pid and not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
        elif not hurts:
            break
        time.sleep(0.002)
    else:
        process.send_signal(signal.SIGABRT)
        raise AssertionError(f"{process.args}: it never ended, or hurts still: {process.communicate()}")
    said += process.stdout.read() or b""
    return [json.loads(line) for line in said.splitlines()], max(0.0, last_hurt - (happened or last_hurt))


def matrix(cases: list[tuple[str, str]]) -> dict[str, object]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = pool.map(lambda one: case(*one[1], FIRST_PORT + one[0]), enumerate(cases))
        return {"results": list(results), "tables": tables()}


def compiled(folder: str) -> str:
    """clock_and_disk.c, to be preloaded."""
    library = f"{folder}/clock_and_disk.so"
    source = str(HERE / "clock_and_disk.c")
    subprocess.run(
        ["cc", "-std=gnu11", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-o", library, source, "-ldl"], check=True
    )
    return library


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    chosen = [(sys.argv[1], sys.argv[2])] if sys.argv[1:] else [(phase, event) for phase in PHASES for event in EVENTS]
    with tempfile.TemporaryDirectory() as built:
        os.environ["CRASH_PRELOAD"] = compiled(built)
        print(json.dumps(matrix(chosen)))
