"""native/floor_client.c at the pace of checks.py: what the kernel asks for a check, and nothing else."""

from __future__ import annotations

from typing import Any

from benchmarks import programs
from benchmarks.measure import Meter
from benchmarks.shared.checks import figures

ECHO_ID = 4_242
"""Of ICMP requests, where others have a port."""

LEAVES_OUT = """\
`floor_*` is a plain loop in C of our own that makes the same system calls for the same checks, 10 ms apart, and nothing
else: no deadlines, no schedule of each probe, no latencies, no records, states or histograms, and no Python process beside.
"""


def run_floor(workload: dict[str, Any], mode: str) -> dict[str, Any]:
    """mode: full, half, http, keep, dns, icmp. With `connections`, as many that ask again as soon as they are answered."""
    connections = workload.get("connections")
    arguments = (
        mode,
        workload.get("port", ECHO_ID),
        connections or workload["targets"],
        0 if connections else workload["interval_s"],
        workload["warmup_s"],
        workload["seconds"],
    )
    said = programs.run_json("floor_client", *map(str, arguments))
    meter = Meter()
    meter.cpu_s, meter.wall_s = said["cpu_s"], said["wall_s"]
    return figures(workload, meter, said["checks"], said["failed"], [])
