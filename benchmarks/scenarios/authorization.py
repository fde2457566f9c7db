"""What it costs to ask who may do what."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Who may do what",
    ours="fastprobe_policy",
    contenders=("fastprobe_policy", "pycasbin_policy"),
    workloads={
        "10 bindings": {"bindings": 10, "principals": 1, "decisions": 200_000},
        "10,000 bindings": {"bindings": 10_000, "principals": 1000, "decisions": 200_000},
        "10,000 bindings, few questions": {"bindings": 10_000, "principals": 1000, "decisions": 20},
    },
    metrics={"us": Metric("a decision", "µs")},
    without={"10,000 bindings": ("pycasbin_policy",)},
    reach=(
        Reach("a decision with 10,000 bindings, µs", "10,000 bindings", "us", 2.0),
        Reach(
            "against 10 bindings",
            "10,000 bindings",
            "us",
            1.2,
            against="fastprobe_policy",
            against_workload="10 bindings",
        ),
        Reach("against pycasbin, 10,000 bindings", "10,000 bindings, few questions", "us", 0.05, against="pycasbin_policy"),
    ),
    notes="""\
Each principal has ten bindings, of a permission over a glob of namespaces: one principal, or a thousand. Half of the
questions are allowed. Ours makes the resource that is asked about within the time. pycasbin looks at every rule for each
question, so it is asked few.
""",
)
