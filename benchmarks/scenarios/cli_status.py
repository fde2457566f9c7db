"""What an operator waits for an answer about a hundred hosts."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="`fastprobe status` of many hosts",
    ours="fastprobe_status",
    contenders=("fastprobe_status",),
    workloads={
        "1 host x 100 probes": {"hosts": 1, "probes": 100},
        "100 hosts x 100 probes": {"hosts": 100, "probes": 100},
    },
    metrics={
        "s": Metric("whole command", "s"),
        "beyond_s": Metric("beyond one host", "s"),
        "cpu_s": Metric("CPU of it", "s"),
        "slowest_s": Metric("one host, asked alone", "s", more_is_better=None),
    },
    repeats=1,
    reach=(Reach("status of 100 hosts beyond that of one, s", "100 hosts x 100 probes", "beyond_s", 1.5),),
    notes="""\
From the start of the process to its end, the import of Python included; the median of five. All hosts live in one other
process, which has to answer two hundred requests with one interpreter: of the time, most is theirs.
""",
)
