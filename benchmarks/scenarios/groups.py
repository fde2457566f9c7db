"""Percentiles of groups, from the probes' histograms."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Groups: p50 and p99",
    ours="fastprobe_groups",
    contenders=("fastprobe_groups", "numpy_groups"),
    workloads={
        "10k groups of 100k probes": {"probes": 100_000, "groups": 10_000, "results": 1_000_000},
        "100 groups of 100k probes": {"probes": 100_000, "groups": 100, "results": 1_000_000},
    },
    metrics={"ms": Metric("CPU", "ms"), "p99_of_group_0_ms": Metric("p99 of the first group", "ms", more_is_better=None)},
    reach=(
        Reach("p50 and p99 of 10,000 groups, ms", "10k groups of 100k probes", "ms", 8.0),
        Reach("groups against NumPy", "10k groups of 100k probes", "ms", 1 / 8, against="numpy_groups"),
    ),
    notes="""\
The same histograms. Groups lie next to each other, which reduceat needs and we do not. We interpolate within a bucket;
NumPy's contender names the bucket's upper bound, so its p99 is the higher one, by less than 9 %.
""",
)
