"""A consistent copy of the table, and its columns on the wire."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Snapshot to MessagePack",
    ours="fastprobe_snapshot",
    contenders=("fastprobe_snapshot", "rows_msgspec"),
    workloads={"10k probes": {"probes": 10_000}, "100k probes": {"probes": 100_000}},
    metrics={
        "encode_ms": Metric("CPU, encode", "ms"),
        "take_ms": Metric("CPU, take", "ms"),
        "mib": Metric("size", "MiB", more_is_better=None),
    },
    reach=(Reach("snapshot of 10,000 probes to MessagePack columns, ms", "10k probes", "encode_ms", 0.5),),
    notes="""\
Columns are for programs that read all probes (the fleet, a dashboard's first paint); rows are for pages of a listing.
Taking the snapshot copies the live rows of every column; names are shared until a probe comes or goes.
""",
)
