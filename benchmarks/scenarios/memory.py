"""Resident memory that one more probe costs, with everything kept for it."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Memory of a probe",
    ours="fastprobe_memory",
    contenders=("fastprobe_memory", "trio_parked_tasks"),
    workloads={
        "10k": {"targets": 10_000, "seconds": 2.0},
        "100k": {"targets": 100_000, "seconds": 2.0},
        "1M": {"targets": 1_000_000, "seconds": 4.0},
        "1M compact": {"targets": 1_000_000, "seconds": 4.0, "compact": True},
    },
    without={"1M": ("trio_parked_tasks",), "1M compact": ("trio_parked_tasks",)},
    metrics={"bytes_per_probe": Metric("memory", "bytes a probe"), "mib": Metric("in all", "MiB", more_is_better=None)},
    reach=(
        Reach("memory per native probe, Python objects included", "100k", "bytes_per_probe", 1536),
        Reach("memory per native probe at a million", "1M", "bytes_per_probe", 1280),
        Reach("with compact histograms, four an octave", "1M compact", "bytes_per_probe", 819),
    ),
    repeats=3,
    notes="""\
Resident memory gained from before the first probe to the running engine, after a collection: name, spec, target, tags,
timer, counters, state, histogram and recent results. What is paid once (rings, connections) is shared by the probes there
are, so fewer of them show more each.
""",
)
