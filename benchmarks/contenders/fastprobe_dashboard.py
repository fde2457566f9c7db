"""The page of a host with many probes, driven in Chromium on the other core."""

import json
import logging
import os
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from subprocess import PIPE
from typing import Any

import trio
from playwright import sync_api

import meshkit_fastprobe as fp
from benchmarks.programs import pinned
from benchmarks.shared import browser
from benchmarks.shared.many_hosts import many_hosts
from benchmarks.shared.peer_process import find
from meshkit_fastprobe.access import SecuritySettings

assert sync_api  # the browser's process needs it: missing, it is this contender that is not here
CHROMIUM = find("chromium")
SETTLED_S = 12.0
"""Until every probe has run, at an interval of ten seconds."""
TICK_S = 0.05


def run(workload: dict[str, Any]) -> dict[str, Any]:
    logging.getLogger("meshkit_fastprobe").setLevel(logging.CRITICAL)  # a storm is told to the browser, not to a terminal
    if workload["act"] == "hosts":
        return _many(workload)
    return trio.run(_one, workload)


def _many(workload: dict[str, Any]) -> dict[str, Any]:
    elsewhere = _elsewhere()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = stack.enter_context(many_hosts(folder, workload["hosts"], workload["probes"]))
        command = _command(workload, urls[-1], (folder / "token").read_text())
        with pinned(elsewhere):
            told = trio.run(partial(trio.run_process, command, capture_stdout=True)).stdout
    return dict(json.loads(told))


async def _one(workload: dict[str, Any]) -> dict[str, Any]:
    server = fp.ServerSettings(listen="127.0.0.1:0")
    diag = fp.Diagnostics(fp.Settings(host="cp-1", server=server, security=SecuritySettings(max_rate=100_000.0)))
    names = []
    for number in range(workload["probes"]):
        host = f"127.{number >> 14 & 127}.{number >> 7 & 127}.{1 + number % 120}"
        down = number % 12 == 0 and not workload["storm"]
        port = 9 if down else workload["port"]
        where = {"cluster": f"eu-{number % 3}", "namespace": f"ns-{number % 10}"}
        names.append(f"probe-{number:05}")
        diag.add(fp.TcpProbe(f"{host}:{port}"), name=names[-1], interval=10, timeout=1, rise=1, fall=1, **where)
    async with diag, trio.open_nursery() as nursery:
        await trio.sleep(SETTLED_S)
        if workload["storm"]:
            nursery.start_soon(_storm, diag, names[:: len(names) // 2000], workload["storm"])
        with pinned(_elsewhere()):
            command = _command(workload, f"http://{diag.address}", diag.local_token)
            process = await nursery.start(partial(trio.run_process, command, stdout=PIPE))
        told = b""
        async for part in process.stdout:
            told += part
        nursery.cancel_scope.cancel()
    return dict(json.loads(told))


async def _storm(diag: fp.Diagnostics, names: list[str], per_s: int) -> None:
    """One probe after the other, down and up again by turns."""
    moves = ((name, ok) for ok in cycle((False, True)) for name in names)
    last_s = trio.current_time()
    while True:
        await trio.sleep(TICK_S)
        now_s = trio.current_time()
        # A host that is behind is not sent what it missed: that would be an avalanche, and the figures tell what came.
        for name, ok in islice(moves, int(min(now_s - last_s, 2 * TICK_S) * per_s)):
            diag.report(name, ok=ok)
        last_s = now_s


def _elsewhere() -> set[int]:
    own = os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1)) - own or own


def _command(workload: dict[str, Any], url: str, token: str) -> list[str]:
    asked = {**workload, "url": url, "token": token, "chromium": CHROMIUM}
    return [sys.executable, browser.__file__, json.dumps(asked)]
