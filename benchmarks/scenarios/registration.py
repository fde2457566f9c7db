"""A hundred thousand probes at once: how long, and how much memory for good."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Registration and memory",
    ours="fastprobe_registration",
    contenders=("fastprobe_registration",),
    workloads={"100k HTTP probes": {"targets": 100_000, "interval_s": 20.0, "timeout_s": 2.0, "seconds": 24.0}},
    metrics={
        "registered_s": Metric("add_many", "s"),
        "started_s": Metric("until started", "s"),
        "kib_registered": Metric("memory, registered", "KiB a probe"),
        "kib_after_a_run": Metric("memory, after each ran", "KiB a probe"),
        "ran": Metric("have run", "of all", more_is_better=True),
    },
    reach=(
        Reach("registration of 100,000 probes, s", "100k HTTP probes", "registered_s", 2.0),
        Reach("memory per native probe, Python objects included, KiB", "100k HTTP probes", "kib_after_a_run", 1.5),
    ),
    repeats=3,
    needs_target=True,
    notes="""\
Memory is resident memory gained, Python objects included. Pages of histograms are touched by the first run, so the
second figure is the one that counts.
""",
)
