"""The ICMP probe, on both lanes, in network namespaces whose kernel answers, keeps silent or lets nothing out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.integration

PROGRAM = """
import fcntl, json, socket, struct, sys, trio
from pathlib import Path
import meshkit_fastprobe as fp
from meshkit_fastprobe.probes.via import Via

said = json.loads(sys.argv[1])
with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
for name, value in said["kernel"].items():
    (Path("/proc/sys/net") / name).write_text(value)

async def main():
    told = []
    for native_lane in (True, False):
        diag = fp.Diagnostics(fp.Settings(host="icmp", native_lane=native_lane))
        for number, asked in enumerate(said["asked"]):
            probe = fp.IcmpProbe(asked["target"], asked.get("payload_bytes", 56), via=Via(**asked.get("via", {})))
            diag.add(probe, name=str(number), interval="1h", initial_delay="1h", timeout=said["timeout"])
        async with diag:
            for number in range(len(said["asked"])):
                try:
                    with trio.fail_after(20):
                        seen = await diag.run_once(str(number))
                    told.append([seen.lane.name, seen.result.name, str(seen.reason), seen.latency_s])
                except fp.SkippedError as skipped:
                    told.append([diag.view(str(number)).lane.name, "skipped", skipped.reason, None])
    print(json.dumps(told))

trio.run(main)
"""


def ask(
    *targets: str | dict[str, Any], kernel: dict[str, str] | None = None, timeout: str = "5s", raw: bool = True
) -> list[list[Any]]:
    """Lane, result, reason and latency of each, in a namespace with nothing but loopback; the native lane's first."""
    asked = [{"target": target} if isinstance(target, str) else target for target in targets]
    said = json.dumps({"asked": asked, "kernel": kernel or {}, "timeout": timeout})
    without_raw = () if raw else ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    command = ["unshare", "-Urn", *without_raw, sys.executable, "-c", PROGRAM, said]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare: apt-get install util-linux")
    if ended.stderr.startswith("unshare:"):
        pytest.skip(f"this kernel gives no network namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    told: list[list[Any]] = json.loads(ended.stdout)
    return told


def on_both_lanes(result: str, reason: str, n: int = 1) -> list[list[str]]:
    return [["NATIVE", result, reason]] * n + [["TASK", result, reason]] * n


def test_a_target_that_is_there_passes() -> None:
    sizes = [{"target": "127.0.0.1", "payload_bytes": size} for size in (8, 1472, 8192)]
    told = ask("127.0.0.1", "::1", "[::1]", *sizes)
    assert [line[:3] for line in told] == on_both_lanes("OK", "none", 6)
    assert all(0 < line[3] < 5 for line in told)


def test_silence_times_out() -> None:
    told = ask("127.0.0.1", kernel={"ipv4/icmp_echo_ignore_all": "1"}, timeout="200ms")
    assert [line[:3] for line in told] == on_both_lanes("TIMEOUT", "icmp_timeout")


def test_a_network_without_a_way_fails_at_once() -> None:
    assert [line[:3] for line in ask("192.0.2.1")] == on_both_lanes("FAIL", "connect_unreachable")


def test_a_ping_socket_does_where_raw_ones_are_forbidden() -> None:
    told = ask("127.0.0.1", "::1", kernel={"ipv4/ping_group_range": "0 0"}, raw=False)
    assert [line[:3] for line in told] == on_both_lanes("OK", "none", 2)


def test_without_either_the_run_is_skipped_and_the_target_not_blamed() -> None:
    assert [line[:3] for line in ask("127.0.0.1", raw=False)] == on_both_lanes("skipped", "permission")


def test_the_way_out_may_be_chosen() -> None:
    told = ask({"target": "127.0.0.1", "via": {"source": "127.0.0.9", "interface": "lo", "tos": 184}})
    assert [line[:3] for line in told] == on_both_lanes("OK", "none")


def test_a_source_that_this_host_does_not_have_skips_the_run() -> None:
    told = ask({"target": "127.0.0.1", "via": {"source": "192.0.2.9"}})
    assert [line[:3] for line in told] == on_both_lanes("skipped", "source")
