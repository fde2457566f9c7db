"""The same 10,000 checks a second from ever more probes: what a probe costs that is not being run."""

from benchmarks.scenario import Metric, Reach, Scenario

COMMON = {"timeout_s": 1.0, "warmup_s": 3.0, "seconds": 10.0}


def _workload(probes: int) -> dict[str, float]:
    interval_s = probes / 10_000
    return {"targets": probes, "interval_s": interval_s, "first_run_window_s": interval_s, "settled": True, **COMMON}


SCENARIO = Scenario(
    title="From a thousand probes to a million, TCP",
    ours="fastprobe_tcp",
    contenders=("fastprobe_tcp", "connect_floor"),
    workloads={
        name: _workload(probes) for name, probes in (("1k", 1_000), ("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000))
    },
    metrics={
        "cpu_us_per_check": Metric("CPU", "µs a check"),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=True),
        "core": Metric("of one core", "", more_is_better=None),
        "rss_bytes": Metric("resident", "bytes", more_is_better=None),
        "failed": Metric("failed", "", more_is_better=None),
    },
    reach=(
        Reach(
            "cost per run at a million probes",
            "1M",
            "cpu_us_per_check",
            1.3,
            against="fastprobe_tcp",
            against_workload="1k",
        ),
        Reach(
            "the same of a bare C client: the kernel's part",
            "1M",
            "cpu_us_per_check",
            1.3,
            of="connect_floor",
            against="connect_floor",
            against_workload="1k",
        ),
    ),
    repeats=3,
    needs_target=True,
    timeout_s=600.0,
    notes="""\
Each probe has an address of its own in 127/8; intervals grow with the number of probes, to 100 s for a million, so the
work asked for stays the same. More probes are more distant memory for each run, in our tables and in the kernel's. Measured
is the steady state: all are placed and each has had its first verdict, which for a million takes two minutes.
`connect_floor` is a C client without any table: one connect after the other, over as many addresses, in an order without
neighbours.
""",
)
