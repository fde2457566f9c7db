"""HAProxy's TCP check: it resets on SYN-ACK, a half handshake."""

from typing import Any

from benchmarks.shared.haproxy import run_haproxy


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_haproxy(workload, "tcp", "option tcp-check")
