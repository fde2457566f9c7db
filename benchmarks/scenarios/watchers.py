"""What a storm of transitions costs a host whose events many follow, and whether all of them hear of it."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Watchers in a storm",
    ours="fastprobe_watchers",
    contenders=("fastprobe_watchers",),
    workloads={
        "10 watchers": {"watchers": 10, "transitions_per_s": 1000, "seconds": 8.0},
        "1,000 watchers": {"watchers": 1000, "transitions_per_s": 1000, "seconds": 8.0},
    },
    metrics={
        "told_share": Metric("transitions that the worst watcher got, or was told it missed", "of all", more_is_better=True),
        "missed_share": Metric("of these, told as missed", "of all"),
        "behind_s": Metric("the last of them had all, after the storm", "s"),
        "lag_p99_ms": Metric("lag of the host's loop, p99", "ms"),
        "of_a_core": Metric("of one core", "", more_is_better=None),
        "seconds": Metric("the storm", "s", more_is_better=None),
    },
    repeats=3,
    reach=(
        Reach(
            "1,000 watchers in a storm of 1,000/s: the worst got, or was told of",
            "1,000 watchers",
            "told_share",
            1.0,
            at_least=True,
        ),
        Reach("the same, of these missed", "1,000 watchers", "missed_share", 0.0),
    ),
    notes="""\
8,000 probes fail, 1,000 in a second, each once. Every watcher follows `GET /events?types=transition` over a connection of its
own, from another process on the other core, and counts what it gets: 250 bytes for each transition, so that a thousand take
250 MB in a second. The lag is that of a sleep of one millisecond on the host's loop meanwhile.
""",
)
