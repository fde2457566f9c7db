"""Outages of a loopback port whose beginning and end the kernel keeps: what measurements by probes are measured with.

In a network namespace of its own (which an unprivileged process may make for itself) a table of nf_tables drops what the port
answers, and its lease, which nobody renews, ends that to the tick. Where there is no namespace the port stops listening for a
while, and each end lies between two readings of the clock around one system call.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import trio

from meshkit_fastprobe.chaos.network import nft, table
from meshkit_fastprobe.chaos.network.endpoints import parse_endpoint

TICK_S: Final = 0.01
"""Of the slowest kernel there is (HZ=100): a lease ends at one."""
BACKLOG: Final = 4096
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_SET_FLAGS: Final = 0x8914  # SIOCSIFFLAGS
_UP_AND_RUNNING: Final = 0x41


class Outage(NamedTuple):
    """On trio's clock. The truth is up to unsure_s later than each of the two."""

    began: float
    ended: float
    unsure_s: float


class Way(Protocol):
    """How outages are made."""

    name: str

    async def __call__(self, sock: socket.socket, lasts_s: float) -> Outage:
        """One; returns when it is over."""


class ByNftables:
    name = "nftables"

    async def __call__(self, sock: socket.socket, lasts_s: float) -> Outage:
        target = parse_endpoint("target", "{}:{}".format(*sock.getsockname()))
        scope = table.Scope((target,), "tcp", "in", ())
        name = f"{table.PREFIX}calibration"
        messages = table.build(name, "fastprobe calibrate", scope, nft.counted(nft.DROP), round(lasts_s * 1000))
        before = trio.current_time()
        table.hold(name, messages)
        unsure_s = trio.current_time() - before + TICK_S
        await trio.sleep_until(before + lasts_s + unsure_s)
        table.release(name)
        return Outage(before, before + lasts_s, unsure_s)


class ByListening:
    name = "listening"

    async def __call__(self, sock: socket.socket, lasts_s: float) -> Outage:
        began, first_s = _timed(lambda: sock.shutdown(socket.SHUT_RDWR))
        await trio.sleep(lasts_s)
        ended, last_s = _timed(lambda: sock.listen(BACKLOG))
        return Outage(began, ended, max(first_s, last_s))


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """When it began, and how long it took."""
    before = trio.current_time()
    call()
    return before, trio.current_time() - before


def into_own_namespace() -> str | None:
    """Leave this host's network for one with nothing but loopback; why that cannot be, or None.

    Before any thread is started: the kernel lets only a process with one into another user namespace.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NET):  # os.unshare() is of 3.12
        return f"no network namespace of its own: {os.strerror(ctypes.get_errno())}"
    try:
        with socket.socket() as sock:
            fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
        table.rehearse(nft.counted(nft.DROP))
    except OSError as error:
        return f"no nf_tables in a namespace of its own: {error.strerror}"
    return None


def own_port() -> socket.socket:
    """Listening, and at the same port when it stops and listens again: the kernel keeps that of a port that was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        address = chosen.getsockname()
    sock = socket.create_server(address, backlog=BACKLOG)
    sock.setblocking(False)
    return sock


async def accept(sock: socket.socket) -> None:
    """Let whoever connects go again, for ever; also while the socket does not listen."""
    listener = trio.socket.from_stdlib_socket(sock)
    while True:
        try:
            connection, _ = await listener.accept()
        except OSError:
            await trio.sleep(0.01)
            continue
        connection.close()
