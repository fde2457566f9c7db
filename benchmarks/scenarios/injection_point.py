"""What a place where a fault may enter costs while none is there."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="An idle injection point",
    ours="injection_point",
    contenders=("injection_point", "flag_context_manager"),
    workloads={"awaited": {"calls": 1_000_000, "awaited": True}, "plain": {"calls": 2_000_000, "awaited": False}},
    metrics={"over_bare_ns": Metric("over the bare call", "ns")},
    reach=(
        Reach("idle injection point, awaited, ns over the bare call", "awaited", "over_bare_ns", 60.0),
        Reach("idle injection point, plain, ns over the bare call", "plain", "over_bare_ns", 30.0),
        Reach("against a flag in a context manager, awaited", "awaited", "over_bare_ns", 0.1, against="flag_context_manager"),
        Reach("against a flag in a context manager, plain", "plain", "over_bare_ns", 0.1, against="flag_context_manager"),
    ),
    notes="""\
The bare call is an empty function, awaited or called, timed in the same process just before; the figure is what passing
the point (`await point.pass_through()`, `point.pass_through_sync()`) adds to it. `flag_context_manager` is a generator under
`contextlib` that looks at a flag, as one writes it in an afternoon.
""",
)
