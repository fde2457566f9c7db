"""Chaos at its limits: how soon everything is over, and what it costs to be asked."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Experiments at their limits",
    ours="chaos_limits",
    contenders=("chaos_limits",),
    workloads={
        "1,000 armed, halted": {"does": "halt", "experiments": 1_000},
        "1,000 registered, 500 in force": {"does": "judge", "experiments": 1_000, "rounds": 2_000},
        "stopped": {"does": "stop", "rounds": 50},
    },
    metrics={
        "halt_ms": Metric("halt", "ms"),
        "judged_p50_ms": Metric("authorization and guardrails p50", "ms"),
        "judged_p99_ms": Metric("p99", "ms"),
        "stop_p50_ms": Metric("stop to fault gone p50", "ms"),
        "stop_max_ms": Metric("at most", "ms"),
    },
    reach=(
        Reach("halt over 1,000 armed null faults, ms", "1,000 armed, halted", "halt_ms", 1_000.0),
        Reach(
            "authorization and guardrails of an activation, 1,000 experiments, p99, ms",
            "1,000 registered, 500 in force",
            "judged_p99_ms",
            1.0,
        ),
        Reach("stop to fault gone, at most, ms", "stopped", "stop_max_ms", 100.0),
    ),
    repeats=3,
    notes="""\
Faults are `null`, or a latency through a proxy that is stopped fifty times; journal and audit are on the disk.
The judgement is asked beside a thousand probes and a thousand bindings. How soon faults of the kernel are gone when a process
is killed or stopped, [the crash matrix](crash-matrix.md) tells.
""",
)
