"""What tests of packet_delay have happen in a namespace of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import trio
from namespace import Host, play, until

from meshkit_fastprobe.chaos.faults.base import FaultError, FaultPlan
from meshkit_fastprobe.chaos.faults.packet_delay import PacketDelay
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.helpers import Helper
from meshkit_fastprobe.chaos.network import table
from meshkit_fastprobe.chaos.processes import identify
from meshkit_fastprobe.testing import check_fault

HOST = Host()
TARGET = ("127.0.0.1", 9999)
DELAY_MS = 50
OWNER = """
import sys, time, trio
sys.path.insert(0, sys.argv[1])
from packet_delay_scenes import applied, helper
trio.run(applied, "owner")
print(helper("owner").pid, flush=True)
time.sleep(3600)
"""


def fault(**keys: Any) -> PacketDelay:
    return PacketDelay(**{"targets": ("127.0.0.1:9999",), "delay": f"{DELAY_MS}ms", "direction": "out", **keys})


async def applied(mark: str, **keys: Any) -> FaultPlan:
    one = fault(**keys)
    plan = await one.plan(HOST, mark)
    await one.apply(HOST, plan)
    return plan


def helper(mark: str) -> Helper:
    found = table.companion(f"meshkit_{mark}")
    assert isinstance(found, Helper)
    return found


def stay_on_one_processor(mark: str) -> None:
    """Loopback has a line for each processor: packets that are let go on two of them overtake each other there."""
    pid = helper(mark).pid
    os.sched_setaffinity(pid, {min(os.sched_getaffinity(pid))})


def round_trips_ms(n: int, target: tuple[str, int] = TARGET, patience_s: float = 20.0) -> list[float]:
    """Of n datagrams that are answered, one after the other."""
    taken = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(target)
        server.settimeout(patience_s)
        client.settimeout(patience_s)
        for _ in range(n):
            began = time.monotonic()
            client.sendto(b"?", target)
            _, sender = server.recvfrom(16)
            server.sendto(b"!", sender)
            client.recv(16)
            taken.append((time.monotonic() - began) * 1000)
    return taken


async def delays(keys: dict[str, Any]) -> dict[str, Any]:
    before = round_trips_ms(5)
    plan = await applied("delays", **keys)
    during = round_trips_ms(20)
    elsewhere = round_trips_ms(5, ("127.0.0.1", 9998))
    await fault(**keys).renew(HOST, plan)
    effect = await fault(**keys).verify(HOST, plan)
    pid = helper("delays").pid
    marks = [found.mark for found in await PacketDelay.scan(HOST)], [found.mark for found in await PacketLoss.scan(HOST)]
    await PacketDelay.revert(HOST, plan)
    gone = await PacketDelay.is_gone(HOST, plan)
    await PacketDelay.revert(HOST, plan)
    return {
        "before": before,
        "during": during,
        "elsewhere": elsewhere,
        "touched": effect.touched,
        "in_force": effect.in_force,
        "marks": marks,
        "gone": gone and identify(pid) is None,
        "after": round_trips_ms(5),
    }


async def order(n: int) -> dict[str, Any]:
    """Many at once, each held by a lot of its own."""
    plan = await applied("order", jitter="40ms")
    stay_on_one_processor("order")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(TARGET)
        server.settimeout(20)
        for number in range(n):
            client.sendto(str(number).encode(), TARGET)
        seen = [int(server.recv(16)) for _ in range(n)]
    await PacketDelay.revert(HOST, plan)
    return {"seen": seen}


async def let_go(n: int) -> dict[str, Any]:
    """Packets that are held when the fault is undone, more of them than are read at once."""
    plan = await applied("let-go", delay="10s")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(TARGET)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)  # what is held counts as not sent
        for number in range(n):
            client.sendto(str(number).encode(), TARGET)
        began = time.monotonic()
        await PacketDelay.revert(HOST, plan)
        server.settimeout(20)
        seen = [int(server.recv(16)) for _ in range(n)]
    return {"seen": seen, "taken_s": time.monotonic() - began}


async def stream() -> dict[str, Any]:
    """A connection over TCP, whose large segments are queued whole."""
    plan = await applied("stream", delay="5ms", direction="both")
    data = os.urandom(1_000_000)
    with socket.create_server(TARGET) as listener, socket.create_connection(TARGET) as client:
        server, _ = listener.accept()
        with server:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, client.sendall, data)
                got = await trio.to_thread.run_sync(server.recv, len(data), socket.MSG_WAITALL)
    effect = await fault().verify(HOST, plan)
    await PacketDelay.revert(HOST, plan)
    return {"same": got == data, "touched": effect.touched}


def _owner() -> tuple[subprocess.Popen[str], int]:
    here = str(Path(__file__).parent)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, here], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.stdout.close()
    return owner, pid


async def killed() -> dict[str, Any]:
    owner, pid = _owner()
    during = round_trips_ms(2)
    owner.kill()
    gone_s = until(lambda: not table.tables())
    owner.wait()
    until(lambda: identify(pid) is None)
    return {"during": during, "gone_s": gone_s, "after": round_trips_ms(5)}


async def stopped() -> dict[str, Any]:
    """The owner hangs; its helper goes on, and the lease ends what it has to do."""
    owner, pid = _owner()
    owner.send_signal(signal.SIGSTOP)
    ended_s = until(lambda: min(round_trips_ms(1)) < DELAY_MS)
    owner.kill()
    owner.wait()
    until(lambda: identify(pid) is None)
    return {"ended_s": ended_s}


async def helpless(how: int) -> dict[str, Any]:
    """The helper dies, or hangs."""
    plan = await applied("helpless")
    os.kill(helper("helpless").pid, how)
    flows_s = until(lambda: _passes(0.5))
    told = ""
    try:
        await fault().renew(HOST, plan)
    except FaultError as error:
        told = str(error)
    await PacketDelay.revert(HOST, plan)
    return {"flows_s": flows_s, "told": told, "after": round_trips_ms(5), "gone": await PacketDelay.is_gone(HOST, plan)}


def _passes(patience_s: float) -> bool:
    try:
        return min(round_trips_ms(1, patience_s=patience_s)) < DELAY_MS
    except TimeoutError:
        return False


async def forbidden() -> dict[str, Any]:
    backing = (await fault().preflight(HOST))[0]
    return {"usable": backing.usable, "why": backing.why}


async def conforms() -> str:
    await check_fault(fault(), HOST)
    return "it does"


if __name__ == "__main__":
    play(globals())
