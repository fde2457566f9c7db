"""What a prober calls the target's latency, beside what the kernel counted."""

from benchmarks.scenario import Metric, Reach, Scenario

COMMON = {"timeout_s": 1.0, "warmup_s": 1.0, "seconds": 5.0, "every_run_remembered": True}
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
        "kernel_p99_ms": Metric("p99 as the kernel counted these", "ms", more_is_better=None),
        "p99_against_own": Metric("reported over that", "times", more_is_better=None),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=None),
    },
    reach=(Reach("connect latency p99 against the kernel's of the same connections", PACE, "p99_against_own", 1.1),),
    needs_target=True,
    notes="""\
Nearer to the kernel is better, and not less. Every run of ours is recorded with the kernel's tcpi_rtt of its connection and
goes into a histogram of eight buckets an octave, each up to 9 % wide, from which quantiles are told: `reported over that`
holds the two beside each other, over all runs there were. `connect_kernel` is another client, in C, and no yardstick: what the
kernel counted of connects that were made one at a time, not as many as are due in a tick; `connect_clock` is the clock around
the same connects. A prober that takes the time after its event loop came round reports its own queue as the target's slowness.
""",
)
