"""What the host's own tasks feel of the checks that run in its process."""

from benchmarks.scenario import Metric, Reach, Scenario

COMMON = {"warmup_s": 2.0, "seconds": 2.0, "slices": 5}
KEPT = "50,000 results/s"
APART = "10,000/s, the target apart"


def _tcp(targets: int) -> dict[str, object]:
    return {"targets": targets, "interval_s": 1.0, "keep_alive": False, **COMMON}


SCENARIO = Scenario(
    title="Lag of the host's event loop",
    ours="host_native",
    contenders=("host_native", "host_inline", "host_trio_tasks"),
    also_ours=("host_inline",),
    workloads={
        "nothing": _tcp(0),
        "1,000/s": _tcp(1_000),
        "5,000/s": _tcp(5_000),
        "10,000/s": _tcp(10_000),
        APART: {**_tcp(10_000), "one_core": True},
        "30,000/s": _tcp(30_000),
        KEPT: {"targets": 2_500, "interval_s": 0.05, "keep_alive": True, **COMMON},
    },
    without={KEPT: ("host_trio_tasks",)},
    metrics={
        "lag_p50_us": Metric("lag p50", "µs"),
        "lag_p99_us": Metric("lag p99", "µs"),
        "p99_against_idle": Metric("p99 against idle", "times"),
        "probing_core": Metric("loop's thread, of a core", ""),
        "core_at_50k": Metric("that, at 50,000 results/s", ""),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=True),
    },
    reach=(
        Reach("host loop lag p99 at 10,000 TCP checks/s, against idle", "10,000/s", "p99_against_idle", 1.2),
        Reach("ingest and wake-ups at 50,000 results/s, of a core", KEPT, "core_at_50k", 0.10),
    ),
    repeats=3,
    needs_target=True,
    notes="""\
Lag is how much later than 1 ms a trio sleep of 1 ms ends; idle is the same process without checks, in slices of two seconds
that alternate with those beside the checks: each kind is pooled before its p99 is taken. Here, and only here, the contender
may use every core: the target shares one with it. `target apart` keeps the contender on the other core, the host's loop and
whatever checks on one. CPU of the loop's thread is read afterwards, with
the sleeper ended: it is what probing costs there. The column beside it is the same per result, times 50,000: few
results are dearer each, since fewer share a wake-up. The last workload keeps its connections, 20 requests a second to
each of 2,500 targets.
""",
)
