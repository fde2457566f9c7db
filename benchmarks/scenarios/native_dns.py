"""A DNS check over UDP, question to verdict."""

from benchmarks.scenario import Metric, Reach, Scenario
from benchmarks.shared.floor_client import LEAVES_OUT
from benchmarks.shared.prototype import ABOUT, WITHIN

COMMON = {"interval_s": 1.0, "timeout_s": 0.9, "warmup_s": 2.0, "seconds": 4.0}

SCENARIO = Scenario(
    title="DNS checks",
    ours="fastprobe_dns",
    contenders=("fastprobe_dns", "floor_dns", "prototype_dns", "uvloop_dns"),
    floors=("floor_dns", "prototype_dns"),
    workloads={
        "50,000/s": {"targets": 5_000, **COMMON, "interval_s": 0.1, "timeout_s": 0.09},
        "10,000/s": {"targets": 10_000, **COMMON},
        "4,000/s": {"targets": 4_000, **COMMON},
    },
    metrics={
        "cpu_us_per_check": Metric("CPU", "µs a check"),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=True),
        "core": Metric("of one core", "", more_is_better=None),
        "p99_ms": Metric("latency p99 as measured", "ms"),
        "failed": Metric("failed", "", more_is_better=None),
    },
    reach=(
        Reach("DNS against an asyncio client on uvloop, 10,000/s", "10,000/s", "cpu_us_per_check", 0.15, against="uvloop_dns"),
        Reach("DNS against an asyncio client on uvloop, 4,000/s", "4,000/s", "cpu_us_per_check", 0.15, against="uvloop_dns"),
        Reach("DNS against the C prototype, 50,000/s", "50,000/s", "cpu_us_per_check", WITHIN, against="prototype_dns"),
        Reach(
            "DNS against the bare loop, which keeps our pace, 50,000/s",
            "50,000/s",
            "cpu_us_per_check",
            WITHIN,
            against="floor_dns",
        ),
    ),
    without={"50,000/s": ("uvloop_dns",), "10,000/s": ("prototype_dns",), "4,000/s": ("prototype_dns",)},
    needs_target=True,
    notes=LEAVES_OUT
    + ABOUT
    + """\
The client on uvloop asks each check from a port of its own; we from one of 32, each drawn anew after 1,024 questions or 10 s.
We pass over what is not the answer, read every record and look for the expected address, the client looks at the id, the
floor at the id of its only port. Who cannot keep the pace does what one core allows.
""",
)
