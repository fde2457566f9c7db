"""An HTTP check, connect to the last byte of the body."""

from benchmarks.scenario import Metric, Reach, Scenario
from benchmarks.shared.floor_client import LEAVES_OUT
from benchmarks.shared.prototype import ABOUT, WITHIN

COMMON = {"timeout_s": 1.0, "warmup_s": 2.0, "seconds": 4.0}

FLAT_OUT = ("wrk_http", "pycurl_http")
"""Peers that keep no pace."""
PYTHON = ("trio_socket_http", "aiohttp_uvloop", "httpx_trio")


def _reach(what: str, workload: str, bound: float, against: str) -> Reach:
    return Reach(f"{what}, {workload}", workload, "cpu_us_per_check", bound, against=against)


SCENARIO = Scenario(
    title="HTTP/1.1 checks",
    ours="fastprobe_http",
    floors=("floor_http", "prototype_http"),
    contenders=(
        "fastprobe_http",
        "prototype_http",
        "floor_http",
        "haproxy_http",
        "wrk_http",
        "pycurl_http",
        "trio_socket_http",
        "aiohttp_uvloop",
        "httpx_trio",
        "blackbox_http",
    ),
    workloads={
        "new connection, 10,000/s": {"targets": 10_000, "interval_s": 1.0, "keep_alive": False, **COMMON},
        "new connection, 8,000/s": {"targets": 8_000, "interval_s": 1.0, "keep_alive": False, **COMMON},
        "new connection, 4,000/s": {"targets": 4_000, "interval_s": 1.0, "keep_alive": False, **COMMON},
        "new connection, 400/s": {"targets": 400, "interval_s": 1.0, "keep_alive": False, **COMMON},
        "keep-alive, 4,000/s": {"targets": 400, "interval_s": 0.1, "keep_alive": True, **COMMON},
        "keep-alive, flat out": {"targets": 2_500, "interval_s": 0.03, "keep_alive": True, "connections": 64, **COMMON},
        "keep-alive, 600 connections": {"targets": 600, "interval_s": 0.01, "keep_alive": True, "connections": 600, **COMMON},
        "keep-alive, 1,200 connections": {
            "targets": 1_200,
            "interval_s": 0.01,
            "keep_alive": True,
            "connections": 1_200,
            **COMMON,
        },
    },
    without={
        "new connection, 10,000/s": (*FLAT_OUT, "blackbox_http"),
        "new connection, 8,000/s": (*FLAT_OUT, *PYTHON, "blackbox_http"),
        "new connection, 4,000/s": FLAT_OUT,
        "new connection, 400/s": (*FLAT_OUT, "blackbox_http"),
        "keep-alive, 4,000/s": (*FLAT_OUT, "haproxy_http", "blackbox_http"),
        "keep-alive, flat out": (*PYTHON, "haproxy_http", "blackbox_http"),
        "keep-alive, 600 connections": (*PYTHON, "haproxy_http", "blackbox_http"),
        "keep-alive, 1,200 connections": (*PYTHON, "haproxy_http", "blackbox_http"),
    },
    metrics={
        "cpu_us_per_check": Metric("CPU", "µs a check"),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=True),
        "core": Metric("of one core", "", more_is_better=None),
        "p99_ms": Metric("latency p99 as measured", "ms"),
        "failed": Metric("failed", "", more_is_better=None),
    },
    reach=(
        Reach(
            "native HTTP check CPU, new connection", "new connection, 10,000/s", "cpu_us_per_check", 0.05, against="httpx_trio"
        ),
        _reach("HTTP against HAProxy's check", "new connection, 4,000/s", 0.9, "haproxy_http"),
        _reach("HTTP against HAProxy's check", "new connection, 8,000/s", 0.7, "haproxy_http"),
        _reach("HTTP against blackbox_exporter", "new connection, 4,000/s", 0.07, "blackbox_http"),
        _reach("HTTP against httpx on trio", "new connection, 4,000/s", 0.04, "httpx_trio"),
        _reach("HTTP against wrk", "keep-alive, flat out", 0.75, "wrk_http"),
        _reach("HTTP against pycurl", "keep-alive, flat out", 0.4, "pycurl_http"),
        _reach("HTTP against wrk", "keep-alive, 600 connections", 0.75, "wrk_http"),
        _reach("HTTP against pycurl", "keep-alive, 600 connections", 0.4, "pycurl_http"),
        _reach("HTTP against wrk", "keep-alive, 1,200 connections", 0.75, "wrk_http"),
        _reach("HTTP against pycurl", "keep-alive, 1,200 connections", 0.4, "pycurl_http"),
        _reach("HTTP against the C prototype", "new connection, 4,000/s", WITHIN, "prototype_http"),
        _reach("HTTP against the C prototype", "new connection, 8,000/s", WITHIN, "prototype_http"),
        _reach("HTTP against the C prototype", "keep-alive, 4,000/s", WITHIN, "prototype_http"),
        _reach("HTTP against the C prototype", "keep-alive, 600 connections", WITHIN, "prototype_http"),
        _reach("HTTP against the C prototype", "keep-alive, 1,200 connections", WITHIN, "prototype_http"),
    ),
    needs_target=True,
    notes=LEAVES_OUT
    + ABOUT
    + """\
Who cannot keep the pace does as many checks as one core allows; CPU is per check done, so falling short costs nothing
in that column. `trio_socket_http` compares the first and the last bytes of the answer and parses nothing. At 400 checks
a second every check pays for its own wake-ups. Flat out: 83,000 checks a second are asked of us, 33 a second of each of
2,500 targets; wrk, pycurl and the floor have 64 connections and no pace, so they touch a fortieth of the kernel's and their own
memory, and whoever waits for the next answer meets several at once. With 600 connections everybody has as many; we keep a pace
there, 100 checks a second of each, and so do not meet a target that is busy anyway, as those do who keep none. With 1,200 that
pace is about what a core can do: everybody is flat out on equal terms. wrk asks one address alone. How far the floor is below
wrk is how far anybody can get who makes the two system calls of a request. Of HAProxy, wrk and blackbox_exporter the program's
own process is counted. A check on a new connection makes four system calls (connect, send, receive, disconnect), one on a kept
connection two: what is left to save is in the kernel. Flat out a check has as long as its interval, 30 and 10 ms: on a machine
that is held up, those that take longer fail.
""",
)
