"""Prometheus' blackbox_exporter: asked for /probe over kept connections, as fast as it answers; its process's CPU alone."""

from __future__ import annotations

import http.client
import itertools
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Meter, percentile
from benchmarks.shared.checks import addresses
from benchmarks.shared.peer_process import cpu_s, find, running

CONFIG = """\
modules:
  tcp:
    prober: tcp
    timeout: 2s
    tcp: {preferred_ip_protocol: ip4}
  http:
    prober: http
    timeout: 2s
    http: {preferred_ip_protocol: ip4}
"""
ASKERS = 4
START_S = 10.0


def run_blackbox(workload: dict[str, Any], module: str, target: str) -> dict[str, Any]:
    """target: a format string with {address} and {port}."""
    program = find("prometheus-blackbox-exporter")
    targets = [target.format(address=address, port=workload["port"]) for address in addresses(workload)]
    with tempfile.TemporaryDirectory() as folder, socket.socket() as reserved:
        config = Path(folder) / "blackbox.yml"
        config.write_text(CONFIG, encoding="ascii")
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        reserved.close()
        command = [program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        with running(command) as process:
            _wait_for(port)
            return _ask(workload, process.pid, port, [f"/probe?module={module}&target={each}" for each in targets])


def _wait_for(port: int) -> None:
    give_up_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.05)
        else:
            return


def _ask(workload: dict[str, Any], pid: int, port: int, paths: list[str]) -> dict[str, Any]:
    latencies_s: list[float] = []
    failed: list[str] = []
    stop = threading.Event()

    def asker(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for path in itertools.islice(itertools.cycle(paths), first, None, ASKERS):
            if stop.is_set():
                break
            began = time.monotonic()
            connection.request("GET", path)
            if b"probe_success 1" not in connection.getresponse().read():
                failed.append(path)
            latencies_s.append(time.monotonic() - began)
        connection.close()

    threads = [threading.Thread(target=asker, args=(number,)) for number in range(ASKERS)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    done, failures, used_s = len(latencies_s), len(failed), cpu_s(pid)
    with Meter() as meter:
        time.sleep(workload["seconds"])
    checks, used_s = len(latencies_s) - done, cpu_s(pid) - used_s
    stop.set()
    for thread in threads:
        thread.join()
    return {
        "cpu_us_per_check": used_s / checks * 1e6,
        "delivered": checks / (workload["targets"] / workload["interval_s"] * meter.wall_s),
        "core": used_s / meter.wall_s,
        "failed": len(failed) - failures,
        "p99_ms": percentile(latencies_s[done : done + checks], 0.99) * 1e3,
    }
