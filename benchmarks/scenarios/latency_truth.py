"""What a prober calls the target's latency, beside what the kernel counted."""

from benchmarks.scenario import Metric, Reach, Scenario

COMMON = {"timeout_s": 1.0, "warmup_s": 3.0, "seconds": 6.0}
PACE = "5,000/s"

SCENARIO = Scenario(
    title="Connect latency as reported",
    ours="fastprobe_tcp",
    contenders=("fastprobe_tcp", "connect_kernel", "connect_clock", "uvloop_tcp", "trio_socket_tcp"),
    workloads={
        "1,000/s": {"targets": 1_000, "interval_s": 1.0, **COMMON},
        PACE: {"targets": 5_000, "interval_s": 1.0, **COMMON},
    },
    metrics={
        "p50_ms": Metric("p50", "ms", more_is_better=None),
        "p99_ms": Metric("p99", "ms", more_is_better=None),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=None),
    },
    reach=(
        Reach("connect latency p50 against the kernel's", PACE, "p50_ms", 1.1, against="connect_kernel"),
        Reach("connect latency p99 against the kernel's", PACE, "p99_ms", 1.1, against="connect_kernel"),
    ),
    needs_target=True,
    notes="""\
Nearer to `connect_kernel` is better, and not less: it is a C client that reads the kernel's tcpi_rtt of each of its own
connects, `connect_clock` the clock around the same connects. A prober that takes the time after its event loop came
round reports its own queue as the target's slowness. Ours go through a histogram of eight buckets an octave: up to 9 %
wide.
""",
)
