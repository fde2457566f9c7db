"""wrk, one thread, the workload's number of kept connections to one address, as fast as one core allows."""

import re
import resource
import subprocess
from typing import Any

from benchmarks.measure import Meter
from benchmarks.shared.checks import figures
from benchmarks.shared.peer_process import find


def run(workload: dict[str, Any]) -> dict[str, Any]:
    url = f"http://127.1.0.1:{workload['port']}/healthz"
    command = [find("wrk"), "-t1", f"-c{workload['connections']}", f"-d{workload['seconds']:g}s", url]
    before = _children_cpu_s()
    with Meter() as meter:
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    meter.cpu_s = _children_cpu_s() - before
    found = re.search(r"(\d+) requests in", out)
    assert found is not None, out
    return figures(workload, meter, int(found[1]), 0, [])


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
