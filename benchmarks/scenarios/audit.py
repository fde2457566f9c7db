"""How fast what is done is on record, durably, and how fast the record is proven."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="The audit",
    ours="fastprobe_audit",
    contenders=("fastprobe_audit",),
    workloads={
        "500 who act at once": {"records": 100_000, "writers": 500},
        "one after the other": {"records": 1_000, "writers": 1},
    },
    metrics={
        "durable_per_s": Metric("durable records", "/s", more_is_better=True),
        "verified_per_s": Metric("records verified", "/s", more_is_better=True),
    },
    reach=(
        Reach("durable audit records a second", "500 who act at once", "durable_per_s", 5_000, at_least=True),
        Reach("audit records verified a second", "500 who act at once", "verified_per_s", 200_000, at_least=True),
    ),
    notes="""\
SQLite in WAL with synchronous=FULL on this machine's disk: whoever acts waits for the fsync of a batch, and those who act at
once share one. One after the other is what a disk does alone.
""",
)
