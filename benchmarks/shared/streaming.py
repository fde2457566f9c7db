"""A sender and a reader on loopback, with something or nothing in between."""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.measure import percentile

Opened = Callable[[int], tuple[int, Callable[[], None]]]
"""From the server's port to the one to connect to, and what closes what stands there."""
PIECE = bytes(1 << 20)


def streamed(workload: dict[str, Any], opened: Opened) -> dict[str, Any]:
    size = workload["megabytes"] * len(PIECE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, close = opened(server.getsockname()[1])
        got = [0]

        def read() -> None:
            connection, _ = server.accept()
            buffer = bytearray(len(PIECE))
            with connection:
                while more := connection.recv_into(buffer):
                    got[0] += more

        reader = threading.Thread(target=read)
        reader.start()
        with socket.create_connection(("127.0.0.1", port)) as client:
            began = time.perf_counter()
            for _ in range(workload["megabytes"]):
                client.sendall(PIECE)
        reader.join()
        taken_s = time.perf_counter() - began
        close()
    assert got[0] == size, f"{got[0]} of {size} bytes arrived"
    return {"mbytes_per_s": size / taken_s / 1e6}


def delayed(workload: dict[str, Any], opened: Opened) -> dict[str, Any]:
    """Each connection sends a byte at its own moment of each round, and waits for it to come back.

    Who sends and who answers are a process of their own, on the other core: they would hold this interpreter's lock.
    """
    command = [sys.executable, "-m", "benchmarks.shared.streaming", json.dumps(workload)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as others:
        assert others.stdin is not None
        assert others.stdout is not None
        port, close = opened(int(others.stdout.readline()))
        others.stdin.write(f"{port}\n")
        others.stdin.flush()
        told: dict[str, Any] = json.loads(others.stdout.readline())
        close()
    return told


def _others(workload: dict[str, Any]) -> dict[str, Any]:
    """The sender and the server of `delayed`; the port to connect to comes in, the server's goes out."""
    with suppress(OSError):
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0))
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        server.setblocking(False)
        print(server.getsockname()[1], flush=True)
        port = int(sys.stdin.readline())
        clients = _connected(server, port, workload["connections"])
        draw = random.Random(workload["seed"])
        moments = [(at + draw.random(), i) for at in range(workload["rounds"]) for i in range(len(clients[0]))]
        errors = _played(*clients, sorted(moments), workload["delay_s"])
    return {
        "error_p50_ms": percentile(errors, 0.5) * 1e3,
        "error_p99_ms": percentile(errors, 0.99) * 1e3,
        "early": sum(error < 0 for error in errors),
    }


def _connected(server: socket.socket, port: int, n: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """Both ends of each, connected all the way: what follows is no matter of connecting."""
    clients, ends = [], []
    server.setblocking(True)
    for _ in range(n):
        clients.append(socket.create_connection(("127.0.0.1", port)))
        ends.append(server.accept()[0])
    for end in (*clients, *ends):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
    return clients, ends


def _played(
    clients: list[socket.socket], ends: list[socket.socket], plan: list[tuple[float, int]], delay_s: float
) -> list[float]:
    sent: dict[int, list[float]] = {i: [] for i in range(len(clients))}
    errors: list[float] = []
    selector = selectors.DefaultSelector()
    for i, client in enumerate(clients):
        selector.register(client, selectors.EVENT_READ, i)
    for end in ends:
        selector.register(end, selectors.EVENT_READ, -1)
    began, at = time.perf_counter(), 0
    while len(errors) < len(plan):
        while at < len(plan) and time.perf_counter() - began >= plan[at][0]:
            sent[plan[at][1]].append(time.perf_counter())
            clients[plan[at][1]].send(b"?")
            at += 1
        wait_s = 0.1 if at == len(plan) else max(0.0, plan[at][0] - (time.perf_counter() - began))
        for key, _ in selector.select(wait_s):
            end = key.fileobj
            assert isinstance(end, socket.socket)
            data = end.recv(64)
            if key.data < 0:
                end.send(data)
            else:
                now = time.perf_counter()
                errors.extend(now - sent[key.data].pop(0) - delay_s for _ in data)
    return errors


if __name__ == "__main__":
    print(json.dumps(_others(json.loads(sys.argv[1]))), flush=True)
