"""What scheduling an async callable costs, its own work next to nothing: one checkpoint."""

from benchmarks.scenario import Metric, Reach, Scenario

COMMON = {"timeout_s": 1.0, "warmup_s": 4.0, "seconds": 8.0}

SCENARIO = Scenario(
    title="Task lane: async callables with one checkpoint",
    ours="fastprobe_task_lane",
    contenders=("fastprobe_task_lane", "trio_naive", "trio_naive_spread"),
    workloads={
        "1k": {"probes": 1_000, "interval_s": 1.0, **COMMON},
        "10k": {"probes": 10_000, "interval_s": 1.0, **COMMON},
        "10k, every 5 s": {"probes": 10_000, "interval_s": 5.0, **COMMON, "warmup_s": 7.0, "seconds": 10.0},
        "50k": {"probes": 50_000, "interval_s": 10.0, **COMMON, "warmup_s": 14.0, "seconds": 20.0},
    },
    metrics={
        "cpu_us_per_run": Metric("CPU", "µs a run"),
        "delivered": Metric("delivered", "of the runs asked for", more_is_better=True),
        "lag_p50_ms": Metric("lag p50", "ms"),
        "lag_p99_ms": Metric("lag p99", "ms"),
        "bytes_per_probe": Metric("memory", "bytes a probe"),
    },
    reach=(
        Reach("task lane CPU per run, 10,000 probes", "10k", "cpu_us_per_run", 0.25, against="trio_naive"),
        Reach("task lane lag p99, 10,000 probes, ms", "10k", "lag_p99_ms", 15.0),
    ),
    repeats=3,
    notes="""\
Lag is how much later than due a run starts. A naive task's due time is whatever it chose when it fell asleep, so its
drift does not show there but in `delivered`. Memory is resident memory gained per probe: ours holds histogram,
counters, state and recent results, theirs holds a parked task and keeps no results at all. Our lag covers the warm-up
too.
""",
)
