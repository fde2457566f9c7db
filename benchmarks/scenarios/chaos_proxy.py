"""A proxy in front of a dependency: what passes while no fault touches it, and how well it keeps a delay."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="The chaos proxy",
    ours="chaos_proxy",
    contenders=("chaos_proxy", "direct_connection"),
    workloads={
        "stream": {"megabytes": 2_000, "connections": 1, "delay_s": 0.0},
        "50 ms, 1,000 connections": {"megabytes": 0, "connections": 1_000, "delay_s": 0.05, "rounds": 5},
    },
    metrics={
        "mbytes_per_s": Metric("throughput", "MB/s", more_is_better=True),
        "error_p50_ms": Metric("delay error p50", "ms"),
        "error_p99_ms": Metric("delay error p99", "ms"),
        "early": Metric("answers before their time", "", more_is_better=None),
    },
    reach=(
        Reach(
            "proxy without a fault, of a direct connection", "stream", "mbytes_per_s", 0.2, "direct_connection", at_least=True
        ),
        Reach("delay error p50 at 50 ms, 1,000 connections, ms", "50 ms, 1,000 connections", "error_p50_ms", 1.0),
        Reach("delay error p99 at 50 ms, 1,000 connections, ms", "50 ms, 1,000 connections", "error_p99_ms", 5.0),
        Reach("answers before their time", "50 ms, 1,000 connections", "early", 0.0),
    ),
    repeats=5,
    notes="""\
A stream goes from a sender to a reader on loopback, all in one process with the proxy, pinned to one core with it. For the
delay each connection sends a byte once a second, at its own moment, to a server that sends it back; the two are a process of
their own. The error is the round trip less the 50 ms, so it holds the round trip too, which the direct connection
shows by itself.
""",
)
