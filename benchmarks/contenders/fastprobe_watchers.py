"""Our event stream, of a host in a storm of transitions, to watchers on the other core."""

import json
import os
import sys
import time
from functools import partial
from subprocess import PIPE
from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.contenders.fastprobe_pages import feel
from benchmarks.programs import pinned
from benchmarks.shared import event_watchers
from meshkit_fastprobe.access import SecuritySettings

PATH = "/meshkit/diagnostics/v1/events?types=transition"
TICK_S = 0.01
PATIENCE_S = 60.0


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(main, workload)


async def main(workload: dict[str, Any]) -> dict[str, Any]:
    per_tick, seconds = int(workload["transitions_per_s"] * TICK_S), workload["seconds"]
    server = fp.ServerSettings(listen="127.0.0.1:0")
    security = SecuritySettings(max_rate=100_000.0)
    diag = fp.Diagnostics(fp.Settings(host="h1", server=server, security=security))
    names = [f"p{number}" for number in range(int(workload["transitions_per_s"] * seconds))]
    for name in names:
        diag.add(fp.TcpProbe("127.0.0.1:9"), name=name, interval=3600, timeout=1, initial_delay=3600, rise=1, fall=1)
    async with diag, trio.open_nursery() as nursery:
        lags: list[float] = []
        command = [sys.executable, event_watchers.__file__, diag.address, diag.local_token, PATH]
        command += [str(workload["watchers"]), str(len(names)), str(seconds + PATIENCE_S)]
        elsewhere = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
        with pinned(elsewhere or os.sched_getaffinity(0)):
            process = await nursery.start(partial(trio.run_process, command, stdout=PIPE))
        told = b""
        async for part in process.stdout:
            told += part
            if told == b"ready\n":
                nursery.start_soon(feel, lags)
                began_s, cpu_s = time.perf_counter(), time.process_time()
                await storm(diag, names, per_tick)
                ended_s = time.perf_counter()
                took_s, cpu_s = ended_s - began_s, time.process_time() - cpu_s
        behind_s = time.perf_counter() - ended_s
        nursery.cancel_scope.cancel()
    seen = json.loads(told.partition(b"\n")[2])
    lags.sort()
    return {
        "told_share": seen["least"] / len(names),
        "missed_share": seen["missed"] / (len(names) * seen["watchers"]),
        "lag_p99_ms": lags[int(0.99 * len(lags))] * 1e3,
        "of_a_core": cpu_s / took_s,
        "seconds": took_s,
        "behind_s": behind_s,
    }


async def storm(diag: fp.Diagnostics, names: list[str], per_tick: int) -> None:
    """Every probe fails once, so many in each tick; a tick that comes late is made up for."""
    due_s = trio.current_time()
    for start in range(0, len(names), per_tick):
        for name in names[start : start + per_tick]:
            diag.report(name, ok=False)
        due_s += TICK_S
        await trio.sleep_until(due_s)
