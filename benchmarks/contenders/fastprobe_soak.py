"""Diagnostics for a long time: counted are the runs that fell due, against what became of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import trio
from numpy.typing import NDArray

import meshkit_fastprobe as fp
from benchmarks.measure import Meter, descriptors, rss_bytes, starved_share, time_waits
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import placed
from meshkit_fastprobe._native.histogram import quantiles, upper_bounds_s

LATE_S = 0.05
SETTLED_INTERVALS = 2


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return trio.run(_run, workload)


async def _run(workload: dict[str, Any]) -> dict[str, Any]:
    n, port, interval_s = workload["targets"], workload["port"], workload["interval_s"]
    before_all = descriptors()
    diag = fp.Diagnostics(fp.Settings(host="bench", max_probes=n))
    probes = (fp.TcpProbe(f"{address}:{port}") for address in addresses(workload))
    diag.add_many(probes, interval=interval_s, timeout=workload["timeout_s"])
    async with diag:
        await placed(diag, n)
        await trio.sleep(SETTLED_INTERVALS * interval_s)
        settled_bytes, before = rss_bytes(), _counted(diag)
        with Meter() as meter:
            await trio.sleep(workload["seconds"])
            after = _counted(diag)
        lag = (after["lag"] - before["lag"]).astype(np.uint64)
        return {
            **_became(before, after, n / interval_s * meter.wall_s, int(lag[upper_bounds_s() > LATE_S].sum())),
            **dict(zip(("lag_p50_ms", "lag_p99_ms"), (_quantiles(lag) * 1e3).tolist(), strict=True)),
            "lag_max_ms": (diag.snapshot().totals.lag_max_s or 0.0) * 1e3,
            "drift_ms": _drift_s(diag, n, interval_s) * 1e3,
            "growth_mib": (rss_bytes() - settled_bytes) / 2**20,
            "descriptors": descriptors() - before_all,
            "budget": 0 if diag.descriptors is None else diag.descriptors.connections,
            "time_waits": time_waits(port),
            "core": meter.cpu_s / meter.wall_s,
            "starved": starved_share(),
            "dropped": diag.dropped,
        }


def _counted(diag: fp.Diagnostics) -> dict[str, Any]:
    totals = diag.table.totals()
    return {
        "runs": int(totals["runs"].sum()),
        "ok": int(totals["runs"][0]),
        "skipped": int(totals["skipped"].sum()),
        "lag": totals["lag"].astype(np.int64),
    }


def _became(before: dict[str, Any], after: dict[str, Any], due: float, late: int) -> dict[str, float]:
    runs, ok, skipped = (after[key] - before[key] for key in ("runs", "ok", "skipped"))
    missed = max(0.0, due - runs - skipped)  # of those in flight at the end as well: a few in millions
    return {
        "delivered": runs / due,
        "late": (late + skipped + missed) / due,
        "skipped": skipped,
        "failed": runs - ok,
        "runs": runs,
    }


def _quantiles(lag: NDArray[np.uint64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = quantiles(lag.reshape(1, -1), np.array([0.5, 0.99]))[0]
    return found


def _drift_s(diag: fp.Diagnostics, n: int, interval_s: float) -> float:
    due_ns = np.zeros(n, np.int64)
    for registration in diag.catalog:
        due_ns[registration.slot] = registration.due_ns
    behind_ns = (diag.table.column("last_started_ns")[:n].astype(np.int64) - due_ns) % int(interval_s * 1e9)
    return float(np.quantile(behind_ns, 0.1)) / 1e9
