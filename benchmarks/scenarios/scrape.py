"""What a scrape of very many probes costs its host, and what the host's event loop feels of it."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="A scrape of /metrics",
    ours="fastprobe_scrape",
    contenders=("fastprobe_scrape",),
    workloads={"10k probes": {"probes": 10_000, "scrapes": 10}, "100k probes": {"probes": 100_000, "scrapes": 10}},
    metrics={
        "cpu_s": Metric("CPU of the host", "s a scrape"),
        "took_s": Metric("whole scrape", "s"),
        "lag_p50_ms": Metric("lag of its loop, p50", "ms"),
        "lag_p99_ms": Metric("p99", "ms"),
        "lag_max_ms": Metric("longest", "ms", more_is_better=None),
        "mib": Metric("text", "MiB", more_is_better=None),
    },
    repeats=3,
    reach=(
        Reach("/metrics of 100,000 probes, CPU of the host, s", "100k probes", "cpu_s", 0.5),
        Reach("lag of its loop meanwhile, p99, ms", "100k probes", "lag_p99_ms", 5.0),
    ),
    notes="""\
Over HTTP/1.1 on loopback, without compression, by a reader on the other core that throws away what it gets; one scrape
after the other, after a first one that is not counted (it makes our label texts). The lag is that of a sleep of one
millisecond on the host's loop while it is scraped. No probe runs meanwhile.
""",
)
