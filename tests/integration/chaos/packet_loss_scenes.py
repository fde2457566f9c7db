"""What tests of packet_loss have happen in a namespace of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from namespace import Host, nft, play, until

from meshkit_fastprobe.chaos.faults.base import FaultError, FaultPlan
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.network import table as loss_table
from meshkit_fastprobe.testing import check_fault

HOST = Host()
TARGET = ("127.0.0.1", 9999)
FORKS = {
    "none": "",
    "fork": "os.fork() or time.sleep(3600)",
    "exec": "import subprocess; subprocess.Popen(['sleep', '3600'])",
    "bare": "import ctypes; ctypes.PyDLL(None).fork() or time.sleep(3600)",  # of a C library: Python does not see it
}
OWNER = """
import os, sys, time, trio
sys.path.insert(0, sys.argv[1])
from packet_loss_scenes import HOST, applied
plan = trio.run(applied, "killed")
{fork}
print("applied", flush=True)
time.sleep(3600)
"""


async def applied(mark: str, **keys: Any) -> FaultPlan:
    fault = PacketLoss(**{"targets": ("127.0.0.1:9999",), "ratio": 1.0, "direction": "out", **keys})
    plan = await fault.plan(HOST, mark)
    await fault.apply(HOST, plan)
    return plan


def answers(n: int, target: tuple[str, int] = TARGET) -> str:
    """What became of each of n datagrams that are answered by echo: `.` answered, `x` not, `!` its sender was told."""
    seen = ""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(target)
        for _ in range(n):
            # Loopback delivers before sendto() returns: nothing here has to wait.
            try:
                client.sendto(b"?", target)
            except PermissionError:
                seen += "!"
                continue
            try:
                _, sender = server.recvfrom(16, socket.MSG_DONTWAIT)
                server.sendto(b"!", sender)
                client.recv(16, socket.MSG_DONTWAIT)
            except (BlockingIOError, PermissionError):
                seen += "x"
            else:
                seen += "."
    return seen


async def lose(keys: dict[str, Any], n: int) -> dict[str, Any]:
    before = answers(50)
    plan = await applied("ratio", **keys)
    fault = PacketLoss(**{"targets": ("127.0.0.1:9999",), "direction": "out", **keys})
    seen, elsewhere = "", ""
    for _ in range(n // 1000):
        seen += answers(1000)
        elsewhere += answers(10, ("127.0.0.1", 9998))
        await fault.renew(HOST, plan)
    effect = await fault.verify(HOST, plan)
    await PacketLoss.revert(HOST, plan)
    gone = await PacketLoss.is_gone(HOST, plan)
    await PacketLoss.revert(HOST, plan)  # twice is calm
    return {
        "before": before,
        "seen": seen,
        "elsewhere": elsewhere,
        "touched": effect.touched,
        "in_force": effect.in_force,
        "gone": gone,
        "after": answers(50),
    }


def _owner(fork: str) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parent)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(fork=FORKS[fork]), here], stdout=subprocess.PIPE, start_new_session=True
    )
    assert owner.stdout is not None
    assert owner.stdout.read(8) == b"applied\n"
    owner.stdout.close()
    return owner


async def killed(fork: str) -> dict[str, Any]:
    """The owner dies by SIGKILL while traffic is lost."""
    owner = _owner(fork)
    try:
        during = answers(20)
        began = time.monotonic()
        os.kill(owner.pid, signal.SIGKILL)
        traffic_s = until(lambda: "!" not in answers(5))
        if fork != "bare":
            until(lambda: not loss_table.tables())
        gone_s = time.monotonic() - began
        return {"during": during, "traffic_s": traffic_s, "gone_s": gone_s, "after": answers(20)}
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.wait()


async def stopped() -> dict[str, Any]:
    """The owner hangs: the lease ends the loss, and nobody can take it for still there."""
    owner = _owner("none")
    fault = PacketLoss(targets=("127.0.0.1:9999",), ratio=1.0, direction="out")
    plan = (await PacketLoss.scan(HOST))[0]
    during = (await fault.verify(HOST, plan)).in_force
    os.kill(owner.pid, signal.SIGSTOP)
    traffic_s = until(lambda: "!" not in answers(5))
    after = (await fault.verify(HOST, plan)).in_force
    try:
        await PacketLoss.revert(HOST, plan)
        refused = ""
    except FaultError as error:
        refused = str(error)
    owner.kill()
    owner.wait()
    await PacketLoss.revert(HOST, plan)
    return {
        "mark": plan.mark,
        "during": during,
        "traffic_s": traffic_s,
        "after": after,
        "refused": refused,
        "gone": await PacketLoss.is_gone(HOST, plan),
    }


async def late() -> list[str]:
    """We hang ourselves, and come back after the lease."""
    plan = await applied("late")
    time.sleep(3.2)  # noqa: ASYNC251 - hanging is what it is about
    fault = PacketLoss(targets=("127.0.0.1:9999",), ratio=1.0, direction="out")
    told = [answers(3)]
    try:
        await fault.renew(HOST, plan)
    except FaultError as error:
        told.append(str(error))
    await PacketLoss.revert(HOST, plan)
    return told


async def foreign() -> dict[str, Any]:
    """Tables of others, and one of ours that an earlier life left without an owner."""
    nft("add table inet other; add chain inet other c { type filter hook output priority 0; }; add table ip meshkit")
    before = nft("list", "ruleset")
    nft("add table inet meshkit_left-behind")
    found = await PacketLoss.scan(HOST)
    for plan in found:
        await PacketLoss.revert(HOST, plan)
    plan = await applied("mine")
    listed = nft("list", "table", "inet", "meshkit_mine")
    await PacketLoss.revert(HOST, plan)
    return {"found": [plan.mark for plan in found], "before": before, "after": nft("list", "ruleset"), "listed": listed}


async def twice() -> dict[str, Any]:
    plan = await applied("same")
    try:
        await applied("same")
        refused = ""
    except FaultError as error:
        refused = str(error)
    during = answers(5)
    await PacketLoss.revert(HOST, plan)
    return {"refused": refused, "during": during, "after": answers(5)}


async def renewed(times: int) -> bool:
    """Many renewals leave nothing behind that fills up."""
    plan = await applied("renewed")
    fault = PacketLoss(targets=("127.0.0.1:9999",), ratio=1.0, direction="out")
    for _ in range(times):
        await fault.renew(HOST, plan)
    in_force = (await fault.verify(HOST, plan)).in_force
    await PacketLoss.revert(HOST, plan)
    return in_force


async def forbidden() -> dict[str, Any]:
    fault = PacketLoss(targets=("127.0.0.1:9999",), ratio=1.0)
    backing = (await fault.preflight(HOST))[0]
    try:
        await fault.plan(HOST, "forbidden")
        refused = ""
    except FaultError as error:
        refused = str(error)
    return {"usable": backing.usable, "why": backing.why, "refused": refused, "scan": len(await PacketLoss.scan(HOST))}


async def spared() -> dict[str, str]:
    """All of loopback is meant to lose everything, but the way to the control plane is not among it."""
    host = Host(protected=["10.9.9.9:9998"])
    fault = PacketLoss(targets=("127.0.0.0/8",), ratio=1.0, direction="both", broad=True)
    plan = await fault.plan(host, "spared")
    await fault.apply(host, plan)
    told = {"control": answers(5, ("127.0.0.1", 9998)), "other": answers(5)}
    await PacketLoss.revert(host, plan)
    return told


async def conforms() -> str:
    await check_fault(PacketLoss(targets=("127.0.0.1:9999",), ratio=1.0, direction="out"), HOST)
    return "it does"


if __name__ == "__main__":
    play(globals())
