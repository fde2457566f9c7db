"""The C prototypes that came before the project, at the pace of checks.py: the yardstick of each mode of the native lane.

They are throwaway programs and no part of this repository: `eng` (epoll: TCP and HTTP) and `dgram` (batches of datagrams). The
folder that holds both is named by FASTPROBE_PROTOTYPES; without it they are "not here".
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import programs
from benchmarks.measure import Meter
from benchmarks.shared.checks import WORKERS, figures
from benchmarks.shared.peer_process import MissingProgramError

FOLDER = "FASTPROBE_PROTOTYPES"

WITHIN = 1.25
"""How much more than the prototype of its mode a check of ours may cost."""
ABOUT = """\
`prototype_*` is the throwaway engine in C that this project began with, in the same mode: deadlines, the status and latencies,
one pace for all of them, no state of a target and nobody who reads results. It is no part of the repository: the folder of its
two programs is named by FASTPROBE_PROTOTYPES. Flat out it keeps no pace, and has full batches all the time.
"""

# The arguments of the programs, and what they say at the end.
TCP, HTTP, KEPT = 0, 1, 2
EDGE_TRIGGERED, REUSE, NO_FINAL_ACK = 2, 8, 1024
ICMP, UDP = 0, 2
BATCH = 32
TCP_PORT, UDP_PORT = 8080, 5353
SAID = re.compile(r"(?:done|rx)=(?P<checks>\d+) (?:errs|bad)=(?P<failed>\d+).* cpu_us/check=(?P<cpu_us>[\d.]+)")

FLAT_OUT_RATE = 100_000
"""About what they do in a second when they keep no pace: how many checks are asked for."""


def run_engine(workload: dict[str, Any], mode: int, flags: int = 0) -> dict[str, Any]:
    """`eng` at the pace of the workload; with `connections`, flat out over as many."""
    connections = workload.get("connections")
    at_once = connections or (workload["targets"] if mode == KEPT else WORKERS)
    rate = 0 if connections else round(workload["targets"] / workload["interval_s"])
    with programs.TargetServer(set(workload["other_cores"]), TCP_PORT):
        return _beyond_start(
            workload, rate or FLAT_OUT_RATE, lambda n: _said("eng", mode, at_once, n, rate, flags, workload["targets"])
        )


def run_datagrams(workload: dict[str, Any], mode: int) -> dict[str, Any]:
    """`dgram`, which is always flat out."""
    with programs.TargetServer(set(workload["other_cores"]), UDP_PORT):
        return _beyond_start(workload, FLAT_OUT_RATE, lambda n: _said("dgram", mode, BATCH, n))


def _beyond_start(workload: dict[str, Any], rate: int, run: Callable[[int], tuple[int, int, float]]) -> dict[str, Any]:
    """They count from their first instruction: what a long run costs beyond a short one is free of starts."""
    warm_up, _failed, warm_up_cpu_s = run(round(rate * workload["warmup_s"]))
    checks, failed, cpu_s = run(round(rate * (workload["warmup_s"] + workload["seconds"])))
    meter = Meter()
    meter.cpu_s, meter.wall_s = cpu_s - warm_up_cpu_s, workload["seconds"]
    return figures(workload, meter, checks - warm_up, failed, [])


def _said(program: str, *arguments: int) -> tuple[int, int, float]:
    """Checks done, checks failed, seconds of CPU."""
    folder = os.environ.get(FOLDER)
    if folder is None or not (path := Path(folder) / program).exists():
        raise MissingProgramError(f"needs the prototype {program}: {FOLDER}=FOLDER")
    out = subprocess.run([str(path), *map(str, arguments)], check=True, capture_output=True, text=True).stdout
    said = SAID.search(out)
    assert said is not None, out
    checks = int(said["checks"])
    return checks, int(said["failed"]), float(said["cpu_us"]) * checks / 1e6
