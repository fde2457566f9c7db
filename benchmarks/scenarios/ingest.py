"""A million results into a hundred thousand probes."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Ingest: results into the table",
    ours="fastprobe_ingest",
    contenders=("fastprobe_ingest", "numpy_ingest", "numpy_rounds_ingest", "python_ingest"),
    workloads={
        "1M into 100k": {"results": 1_000_000, "probes": 100_000},
        "1M into 1k": {"results": 1_000_000, "probes": 1_000},
    },
    metrics={
        "results_per_s": Metric("results", "a second of CPU", more_is_better=True),
        "ns_per_result": Metric("CPU", "ns a result"),
        "transitions": Metric("transitions", "", more_is_better=None),
    },
    reach=(
        Reach("ingest, results a second", "1M into 100k", "results_per_s", 50e6, at_least=True),
        Reach("ingest against NumPy", "1M into 100k", "results_per_s", 8.0, against="numpy_ingest", at_least=True),
    ),
    notes="""\
Every contender counts by result, moves rise and fall, keeps the last result and a histogram of 216 buckets. We also
check generations, keep the lag's histogram, degraded streaks, the last eight results of each probe and the transitions.
`numpy_ingest` takes a batch as it comes; `numpy_rounds_ingest` is told that the batch comes in rounds in which a slot
occurs once, and needs no sorting then. Remembering eight results a probe is about half of our time where the table is
larger than the cache: a line of memory of its own for each result. Python's contender starts cold, so it counts more
transitions.
""",
)
