"""A TCP check, connect to verdict."""

from benchmarks.scenario import Metric, Reach, Scenario

COMMON = {"timeout_s": 1.0, "warmup_s": 3.0, "seconds": 6.0}

SCENARIO = Scenario(
    title="TCP checks, full handshake",
    ours="fastprobe_tcp",
    contenders=("fastprobe_tcp", "trio_socket_tcp", "uvloop_tcp"),
    workloads={
        "10,000/s": {"targets": 10_000, "interval_s": 1.0, **COMMON},
        "4,000/s": {"targets": 4_000, "interval_s": 1.0, **COMMON},
        "500/s": {"targets": 500, "interval_s": 1.0, **COMMON},
    },
    metrics={
        "cpu_us_per_check": Metric("CPU", "µs a check"),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=True),
        "core": Metric("of one core", "", more_is_better=None),
        "p99_ms": Metric("latency p99 as measured", "ms"),
        "failed": Metric("failed", "", more_is_better=None),
    },
    reach=(Reach("native TCP check CPU, full handshake", "10,000/s", "cpu_us_per_check", 0.40, against="trio_socket_tcp"),),
    needs_target=True,
    notes="""\
10,000/s is what 100,000 probes at 10 s ask for, the load that this project is for; who cannot keep it does what one core
allows, and CPU is per check done. Peers connect and close; we also keep counters, rise and fall, a histogram and the
last results of each target. The slower the pace, the more checks pay for a wake-up of their own: less is shared.
""",
)
