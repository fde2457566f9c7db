"""Ports for servers that are started later, or never."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

LOWEST = 10_000


def free_port() -> int:
    """Nobody listens there, and the kernel gives it to nobody meanwhile: what connects has a port of the ephemeral range."""
    for port in random.sample(range(LOWEST, _first_ephemeral()), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("a hundred ports in a row are taken")


def _first_ephemeral() -> int:
    path = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(path.read_text().split()[0]) if path.exists() else 32_768
    return first if first > LOWEST + 1000 else 65_536
