"""What readers of the endpoints wait for, and what the host's event loop feels of them."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Pages of a long listing",
    ours="fastprobe_pages",
    contenders=("fastprobe_pages",),
    workloads={
        "1 client": {"probes": 100_000, "clients": 1, "seconds": 6.0},
        "32 clients": {"probes": 100_000, "clients": 32, "seconds": 6.0},
    },
    metrics={
        "p95_ms": Metric("answer, p95", "ms"),
        "pages_per_s": Metric("pages", "/s", more_is_better=True),
        "lag_p99_ms": Metric("lag of the host's loop, p99", "ms"),
        "of_a_core": Metric("of one core", "", more_is_better=None),
    },
    repeats=3,
    reach=(
        Reach("page of 1,000 of 100,000 probes, one client, p95 ms", "1 client", "p95_ms", 12.0),
        Reach("the same, 32 clients without a pause, p95 ms", "32 clients", "p95_ms", 150.0),
    ),
    notes="""\
`GET /probes?page_size=1000` over HTTP/1.1, JSON without compression, by clients in another process on the other core, each
asking again at once. The lag is that of a sleep of one millisecond on the host's loop meanwhile.
""",
)
