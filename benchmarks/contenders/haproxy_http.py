"""HAProxy's HTTP check: a new connection a check, status looked at."""

from typing import Any

from benchmarks.shared.haproxy import run_haproxy

CHECK = (
    "option httpchk\n    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host target\n    http-check expect status 200"
)


def run(workload: dict[str, Any]) -> dict[str, Any]:
    return run_haproxy(workload, "http", CHECK)
