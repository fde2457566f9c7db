"""Our listing, of a host with that many probes, to readers on the other core."""

import os
import sys
import time
from functools import partial
from subprocess import PIPE
from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.programs import pinned
from benchmarks.shared import page_readers
from meshkit_fastprobe.access import SecuritySettings

PATH = "/meshkit/diagnostics/v1/probes?page_size=1000"


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(main, workload)


async def main(workload: dict[str, Any]) -> dict[str, Any]:
    server = fp.ServerSettings(listen="127.0.0.1:0")
    security = SecuritySettings(max_rate=100_000.0)
    diag = fp.Diagnostics(fp.Settings(host="h1", server=server, security=security))
    diag.add_many(
        (fp.TcpProbe(f"127.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:9") for n in range(workload["probes"])),
        interval=3600,
        timeout=1,
        namespace="edge",
        enabled=False,
    )
    async with diag, trio.open_nursery() as nursery:
        lags: list[float] = []
        nursery.start_soon(feel, lags)
        seconds = workload["seconds"]
        command = [sys.executable, page_readers.__file__, diag.address, diag.local_token, PATH]
        command += [str(workload["clients"]), str(seconds)]
        elsewhere = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        with pinned(elsewhere or os.sched_getaffinity(0)):
            process = await nursery.start(partial(trio.run_process, command, stdout=PIPE))
        told = b""
        async for part in process.stdout:
            told += part
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        nursery.cancel_scope.cancel()
    p95_ms, answers = told.split()
    lags.sort()
    return {
        "p95_ms": float(p95_ms),
        "pages_per_s": int(answers) / seconds,
        "lag_p99_ms": lags[int(0.99 * len(lags))] * 1e3,
        "of_a_core": cpu_s / took_s,
    }


async def feel(lags: list[float]) -> None:
    """How late a sleep of a millisecond ends."""
    while True:
        before_s = time.perf_counter()
        await trio.sleep(0.001)
        lags.append(time.perf_counter() - before_s - 0.001)
