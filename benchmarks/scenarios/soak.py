"""A hundred thousand probes for ten minutes: what grows, what drifts, what comes too late."""

from benchmarks.scenario import Metric, Reach, Scenario

WORKLOAD = "100,000 every 10 s, ten minutes"

SCENARIO = Scenario(
    title="Ten minutes of a hundred thousand probes",
    ours="fastprobe_soak",
    contenders=("fastprobe_soak",),
    workloads={
        WORKLOAD: {"targets": 100_000, "interval_s": 10.0, "timeout_s": 2.0, "seconds": 600.0},
    },
    metrics={
        "delivered": Metric("delivered", "of the runs that fell due", more_is_better=True),
        "late": Metric("late by more than 50 ms, or missed", "of the runs that fell due"),
        "skipped": Metric("skipped", "runs"),
        "failed": Metric("failed", "runs"),
        "lag_p50_ms": Metric("lag p50", "ms"),
        "lag_p99_ms": Metric("lag p99", "ms"),
        "lag_max_ms": Metric("lag max", "ms"),
        "drift_ms": Metric("drift", "ms"),
        "growth_mib": Metric("memory gained", "MiB"),
        "descriptors": Metric("descriptors", "", more_is_better=None),
        "budget": Metric("their bound", "", more_is_better=None),
        "time_waits": Metric("ports left in TIME_WAIT", "", more_is_better=None),
        "core": Metric("of one core", "", more_is_better=None),
        "starved": Metric("waited for a processor", "of the engine's time", more_is_better=None),
    },
    reach=(
        Reach("100,000 probes: missed or late by more than 50 ms", WORKLOAD, "late", 0.001),
        Reach("100,000 probes: runs delivered", WORKLOAD, "delivered", 0.999, at_least=True),
        Reach("100,000 probes: memory gained in ten minutes, MiB", WORKLOAD, "growth_mib", 16),
    ),
    repeats=1,
    needs_target=True,
    timeout_s=900.0,
    only_by_name=True,
    notes="""\
TCP, an address of 127/8 each, after two intervals in which every page that a probe needs was touched. Drift is how far behind
its phase the promptest tenth of the last runs began. Where the engine had to wait for a processor, the machine was busy with
something else, and runs are late for that. `make bench ARGS="soak"`: it takes eleven minutes, and runs only when named.
""",
)
