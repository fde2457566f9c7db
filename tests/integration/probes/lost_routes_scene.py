"""Interfaces and addresses that go and come back, in a network namespace; a line of JSON: what each run came to."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from threading import Thread
from typing import Any

import trio

from meshkit_fastprobe import Diagnostics, IcmpProbe, SkippedError, TcpProbe, UdpProbe, Via
from meshkit_fastprobe.model import Settings


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def link_up() -> None:
    """Nobody answers behind it."""
    ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
    ip("address", "add", "10.9.0.1/24", "dev", "d0")
    ip("link", "set", "d0", "up")
    ip("link", "set", "d1", "up")


def echoing() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            data, peer = sock.recvfrom(2048)
            sock.sendto(data, peer)

    Thread(target=answer, daemon=True).start()
    return sock


async def main(lane: str) -> dict[str, Any]:
    ip("link", "set", "lo", "up")
    link_up()
    ip("address", "add", "10.8.0.1/32", "dev", "lo")
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    udp = f"127.0.0.1:{echoing().getsockname()[1]}"
    tcp = f"127.0.0.1:{server.getsockname()[1]}"
    diag = Diagnostics(Settings(host="here", native_lane=lane == "native"))
    kinds = {
        "udp": UdpProbe(udp, send="hello", via=Via(interface="d0")),
        "tcp": TcpProbe("10.9.0.2:80", via=Via(interface="d0")),
        "icmp": IcmpProbe("10.9.0.2", via=Via(interface="d0")),
        "tcp-source": TcpProbe(tcp, via=Via(source="10.8.0.1")),
        "udp-source": UdpProbe(udp, send="hello", via=Via(source="10.8.0.1")),
    }
    for name, probe in kinds.items():
        diag.add(probe, name=name, interval="1h", timeout="150ms", enabled=False)
    told: dict[str, list[str]] = {name: [] for name in kinds}

    async def runs(n: int) -> None:
        for _ in range(n):
            for name in kinds:
                try:
                    view = await diag.run_once(name)
                except SkippedError as skipped:
                    told[name].append(str(skipped).rpartition(" ")[2])
                else:
                    told[name].append(str(view.reason))

    async with diag:
        await runs(3)
        ip("link", "delete", "d0")
        ip("address", "delete", "10.8.0.1/32", "dev", "lo")
        await runs(2)
        link_up()
        ip("address", "add", "10.8.0.1/32", "dev", "lo")
        await runs(2)
    return told


if __name__ == "__main__":
    json.dump(trio.run(main, sys.argv[1]), sys.stdout)
