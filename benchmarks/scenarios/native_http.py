"""An HTTP check, connect to the last byte of the body."""

from benchmarks.scenario import Metric, Reach, Scenario

COMMON = {"timeout_s": 1.0, "warmup_s": 3.0, "seconds": 6.0}

SCENARIO = Scenario(
    title="HTTP/1.1 checks",
    ours="fastprobe_http",
    contenders=("fastprobe_http", "trio_socket_http", "aiohttp_uvloop", "httpx_trio"),
    workloads={
        "new connection, 10,000/s": {"targets": 10_000, "interval_s": 1.0, "keep_alive": False, **COMMON},
        "new connection, 4,000/s": {"targets": 4_000, "interval_s": 1.0, "keep_alive": False, **COMMON},
        "new connection, 400/s": {"targets": 400, "interval_s": 1.0, "keep_alive": False, **COMMON},
        "keep-alive, 4,000/s": {"targets": 400, "interval_s": 0.1, "keep_alive": True, **COMMON},
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
    ),
    needs_target=True,
    notes="""\
Who cannot keep the pace does as many checks as one core allows; CPU is per check done, so falling short costs nothing
in that column. `trio_socket_http` compares the first and the last bytes of the answer and parses nothing. At 400 checks
a second every check pays for its own wake-ups.
""",
)
