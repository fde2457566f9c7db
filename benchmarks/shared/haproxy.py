"""HAProxy's active checks at the pace of checks.py: one thread, one backend, a server line a target, and nothing proxied."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Meter
from benchmarks.shared.checks import addresses, figures
from benchmarks.shared.peer_process import connections_opened, cpu_s, find, running

CONFIG = """\
global
    nbthread 1
    maxconn 64
    fd-hard-limit 60000
defaults
    mode {mode}
    timeout connect {timeout_ms}ms
    timeout check {timeout_ms}ms
    timeout client 1s
    timeout server 1s
frontend unused
    bind unix@{folder}/unused.sock
    default_backend targets
backend targets
    {check}
{servers}
"""


def run_haproxy(workload: dict[str, Any], mode: str, check: str) -> dict[str, Any]:
    program = find("haproxy")
    interval_ms, timeout_ms = round(workload["interval_s"] * 1e3), round(workload["timeout_s"] * 1e3)
    servers = "\n".join(
        f"    server s{i} {address}:{workload['port']} check inter {interval_ms}ms fall 3 rise 2"
        for i, address in enumerate(addresses(workload))
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(
            CONFIG.format(mode=mode, timeout_ms=timeout_ms, folder=folder, check=check, servers=servers), encoding="ascii"
        )
        with running([program, "-db", "-q", "-f", str(config)]) as process:
            time.sleep(workload["warmup_s"])
            opened, used_s = connections_opened(), cpu_s(process.pid)
            with Meter() as meter:
                time.sleep(workload["seconds"])
            meter.cpu_s = cpu_s(process.pid) - used_s
            # Its checks have no counter. It never exceeds its pace, so what others opened meanwhile is cut off.
            wanted = workload["targets"] / workload["interval_s"] * meter.wall_s
            checks = min(connections_opened() - opened, round(wanted))
    return figures(workload, meter, checks, 0, [])
