"""A scrape of ten thousand probes: our renderer, and prometheus-client over the same table."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Exposition",
    ours="fastprobe_exposition",
    contenders=("fastprobe_exposition", "prometheus_client_text"),
    workloads={"10k probes": {"probes": 10_000}, "100k probes": {"probes": 100_000}},
    metrics={
        "cpu_ms": Metric("CPU", "ms a scrape"),
        "mib": Metric("text", "MiB", more_is_better=None),
        "longest_ms": Metric("longest stretch", "ms", more_is_better=None),
        "cache_bytes": Metric("cache", "bytes a probe", more_is_better=None),
    },
    reach=(
        Reach(
            "/metrics for 10,000 probes against generate_latest",
            "10k probes",
            "cpu_ms",
            0.005,
            against="prometheus_client_text",
        ),
    ),
    without={"100k probes": ("prometheus_client_text",)},
    notes="""\
Both render the same samples of the same table, after a first scrape that is not counted (it makes our label texts). The
longest stretch is what an event loop feels: ours is taken in pages, the other in one piece.
""",
)
