"""Periodic timers and timeouts: what the one clock hand costs beside what one would write first."""

from benchmarks.scenario import Metric, Reach, Scenario

FEW, MANY = "100,000 timers", "1,000,000 timers"

SCENARIO = Scenario(
    title="Timers",
    ours="timers_fastprobe",
    contenders=("timers_fastprobe", "timers_list_wheel", "timers_heap4", "timers_fastprobe_in_python", "timers_heapq"),
    workloads={FEW: {"timers": 100_000}, MANY: {"timers": 1_000_000}},
    without={MANY: ("timers_heapq",)},
    metrics={
        "fire_ns": Metric("fire and re-arm", "ns"),
        "core_percent": Metric("that, of a core", "%"),
        "arm_ns": Metric("arm", "ns"),
        "cancel_ns": Metric("cancel", "ns"),
        "cancel_drain_ns": Metric("ticks after cancel", "ns a timer"),
        "expire_ns": Metric("one-shot expires", "ns"),
        "timeout_ns": Metric("arm, cancel, tick", "ns"),
        "bytes_per_timer": Metric("memory", "bytes a timer"),
    },
    reach=(
        Reach("fire at a million timers, against linked lists", MANY, "fire_ns", 0.12, against="timers_list_wheel"),
        Reach("fire at a million timers, against a heap", MANY, "fire_ns", 0.12, against="timers_heap4"),
        Reach("fire at 100,000 timers, against linked lists", FEW, "fire_ns", 0.5, against="timers_list_wheel"),
        Reach("fire at 100,000 timers, against a heap", FEW, "fire_ns", 0.5, against="timers_heap4"),
        Reach("memory at a million timers", MANY, "bytes_per_timer", 20),
    ),
    notes="Ticks of 1 ms. `fire and re-arm`: periodic timers of 1 to 60 s, uniform, armed in random order, driven tick by "
    "tick through 60 s of virtual time after 10 s of warm-up; `of a core` is the same as a share of those 60 s. `arm` "
    "includes the first touch of memory where the structure grows with its timers (ours), and not where it is cleared "
    "when created (the peers). Our cancel is lazy, what it leaves behind is met by later ticks: `ticks after cancel` "
    "drives 60 s over timers that were all cancelled. `arm, cancel, tick`: 100 timeouts of 1 s armed and 100 "
    "cancelled in each tick, 5 ms after arming. The list nodes lie one after another in memory, which favours that "
    "peer: embedded in connections or probes they would not. Peers' memory is without malloc's own share. "
    "`timers_fastprobe_in_python` calls Wheel.arm and Wheel.expire from Python, once a tick; `timers_heapq` is the "
    "standard library's heap with lazy deletion.",
)
