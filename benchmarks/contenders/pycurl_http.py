"""pycurl's multi interface: an easy handle for each of the workload's connections, as fast as one core allows."""

import time
from typing import Any

import pycurl

from benchmarks.measure import Meter, percentile
from benchmarks.shared.checks import addresses, figures


def run(workload: dict[str, Any]) -> dict[str, Any]:
    multi = pycurl.CurlMulti()
    handles = [_handle(address, workload) for address in addresses(workload)[: workload["connections"]]]
    latencies_s: list[float] = []
    failed = 0

    def turn_until(end_s: float) -> None:
        nonlocal failed
        while time.monotonic() < end_s:
            multi.perform()
            _queued, passed, broken = multi.info_read()
            failed += len(broken)
            for handle in [*passed, *(each for each, _code, _message in broken)]:
                failed += handle.getinfo(pycurl.RESPONSE_CODE) != 200
                latencies_s.append(handle.getinfo(pycurl.TOTAL_TIME))
                multi.remove_handle(handle)  # adding a finished handle again is how curl repeats a transfer
                multi.add_handle(handle)
            if not passed:
                multi.select(1.0)

    for handle in handles:
        multi.add_handle(handle)
    turn_until(time.monotonic() + 1.0)
    latencies_s.clear()
    failed = 0
    with Meter() as meter:
        turn_until(time.monotonic() + workload["seconds"])
    for handle in handles:
        multi.remove_handle(handle)
        handle.close()
    multi.close()
    return figures(workload, meter, len(latencies_s), failed, latencies_s) | {"p99_ms": percentile(latencies_s, 0.99) * 1e3}


def _handle(address: str, workload: dict[str, Any]) -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, f"http://{address}:{workload['port']}/healthz")
    handle.setopt(pycurl.NOPROXY, "*")
    handle.setopt(pycurl.TIMEOUT_MS, round(workload["timeout_s"] * 1e3))
    handle.setopt(pycurl.WRITEFUNCTION, len)
    return handle
