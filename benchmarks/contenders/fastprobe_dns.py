"""Our native lane: a question over UDP, a random port and a random id a check, the answer held against an expected address."""

from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.shared.checks import addresses
from benchmarks.shared.diagnostics import run_diagnostics
from meshkit_fastprobe.probes.dns import DnsExpect

EXPECTED = DnsExpect(answers=("192.0.2.1",))


def run(workload: dict[str, Any]) -> dict[str, Any]:
    probes = (fp.DnsProbe(f"{address}:{workload['port']}", "example.org", expect=EXPECTED) for address in addresses(workload))
    return trio.run(run_diagnostics, workload, probes)
