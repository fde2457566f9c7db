"""The command line as a process, in front of real hosts."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.programs import pinned
from benchmarks.shared.many_hosts import many_hosts

TURNS = 5


def run(workload: dict[str, Any]) -> dict[str, Any]:
    elsewhere = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with pinned(elsewhere or os.sched_getaffinity(0)):
            urls = stack.enter_context(many_hosts(folder, workload["hosts"], workload["probes"]))
        (folder / "hosts.txt").write_text("\n".join(urls))
        _until_known(folder)
        turns = [_timed(folder, f"@{folder / 'hosts.txt'}") for _ in range(TURNS)]
        alone = [_timed(folder, url)[0] for url in urls[:TURNS]]
    walls, cpus = zip(*turns, strict=True)
    whole_s, slowest_s = statistics.median(walls), statistics.median(alone)
    return {"s": whole_s, "beyond_s": whole_s - slowest_s, "cpu_s": statistics.median(cpus), "slowest_s": slowest_s}


def _until_known(folder: Path) -> None:
    while True:
        told = json.loads(_ask(folder, f"@{folder / 'hosts.txt'}", "-o", "json").stdout)
        if not any(row.get("states", {}).get("unknown", row.get("problem")) for row in told["hosts"]):
            return
        time.sleep(0.5)


def _timed(folder: Path, host: str) -> tuple[float, float]:
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = _ask(folder, host)
    took_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 1, ended.stderr
    return took_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ask(folder: Path, host: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "meshkit_fastprobe",
        "status",
        "--host",
        host,
        "--token-file",
        str(folder / "token"),
        *more,
    ]
    environment = {**os.environ, "FASTPROBE_CONFIG": str(folder / "none")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
