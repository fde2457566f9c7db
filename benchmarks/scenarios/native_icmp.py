"""An ICMP echo, request to reply."""

from benchmarks.scenario import Metric, Reach, Scenario
from benchmarks.shared.floor_client import LEAVES_OUT
from benchmarks.shared.prototype import ABOUT, WITHIN

COMMON = {"interval_s": 1.0, "timeout_s": 0.9, "warmup_s": 2.0, "seconds": 4.0}

SCENARIO = Scenario(
    title="ICMP echoes",
    ours="fastprobe_icmp",
    contenders=("fastprobe_icmp", "floor_icmp", "prototype_icmp", "fping_icmp"),
    floors=("floor_icmp", "prototype_icmp"),
    workloads={
        "50,000/s": {"targets": 5_000, **COMMON, "interval_s": 0.1, "timeout_s": 0.09},
        "10,000/s": {"targets": 10_000, **COMMON},
        "4,000/s": {"targets": 4_000, **COMMON},
        "1,000/s": {"targets": 1_000, **COMMON},
    },
    metrics={
        "cpu_us_per_check": Metric("CPU", "µs a check"),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=True),
        "core": Metric("of one core", "", more_is_better=None),
        "p99_ms": Metric("latency p99 as measured", "ms"),
        "failed": Metric("failed", "", more_is_better=None),
    },
    reach=(
        Reach("ICMP against fping, 10,000/s", "10,000/s", "cpu_us_per_check", 0.45, against="fping_icmp"),
        Reach("ICMP against fping, 4,000/s", "4,000/s", "cpu_us_per_check", 0.45, against="fping_icmp"),
        Reach("ICMP against the C prototype, 50,000/s", "50,000/s", "cpu_us_per_check", WITHIN, against="prototype_icmp"),
        Reach(
            "ICMP against the bare loop, which keeps our pace, 50,000/s",
            "50,000/s",
            "cpu_us_per_check",
            WITHIN,
            against="floor_icmp",
        ),
    ),
    without={
        "50,000/s": ("fping_icmp",),
        "10,000/s": ("prototype_icmp",),
        "4,000/s": ("prototype_icmp",),
        "1,000/s": ("prototype_icmp",),
    },
    notes=LEAVES_OUT
    + ABOUT
    + """\
The same kernel asks and answers on loopback, so its reply is part of every figure, of both alike. fping keeps sent and lost
and the round trips of each target; we keep counters, rise and fall, a histogram and the last results. fping's checks are the
kernel's count of replies. It spaces packets evenly and wakes for each; our phases lie on a grid of 10 ms, and what is
due together leaves together, 32 in a system call.
""",
)
