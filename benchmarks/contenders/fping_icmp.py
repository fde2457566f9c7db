"""fping in loop mode: every target once a period, packets evenly spaced."""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Meter
from benchmarks.shared.checks import addresses, figures
from benchmarks.shared.peer_process import cpu_s, echo_replies, find, running


def run(workload: dict[str, Any]) -> dict[str, Any]:
    program = find("fping")
    period_ms = workload["interval_s"] * 1e3
    with tempfile.NamedTemporaryFile("w", suffix=".targets") as targets:
        targets.write("\n".join(addresses(workload)) + "\n")
        targets.flush()
        spacing_ms = f"{period_ms / workload['targets']:.6f}"
        command = [program, "-q", "-l", "-p", f"{period_ms:.0f}", "-i", spacing_ms, "-f", str(Path(targets.name))]
        with running(command) as process:
            time.sleep(workload["warmup_s"])
            replies, used_s = echo_replies(), cpu_s(process.pid)
            with Meter() as meter:
                time.sleep(workload["seconds"])
            meter.cpu_s = cpu_s(process.pid) - used_s
            checks = echo_replies() - replies
    return figures(workload, meter, checks, 0, [])
