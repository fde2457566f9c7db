"""Diagnostics in a host whose loop is watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import made
from benchmarks.shared.host_loop import Count, beside


def run_in_host(workload: dict[str, Any], engine: str) -> dict[str, Any]:
    @asynccontextmanager
    async def checks() -> AsyncIterator[Count]:
        diag = fp.Diagnostics(fp.Settings(host="bench", engine=engine, first_run_window_s=workload["warmup_s"] / 2))
        diag.add_many(_probes(workload), interval=workload["interval_s"], timeout=workload["interval_s"])
        async with diag:
            yield lambda: made(diag)

    return trio.run(beside, workload, checks)


def _probes(workload: dict[str, Any]) -> list[fp.TcpProbe | fp.HttpProbe]:
    port = workload["port"]
    if workload["keep_alive"]:
        return [fp.HttpProbe(f"http://{address}:{port}/healthz", keep_alive=True) for address in addresses(workload)]
    return [fp.TcpProbe(f"{address}:{port}") for address in addresses(workload)]
