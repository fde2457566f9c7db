"""A TCP check, connect to verdict."""

from benchmarks.scenario import Metric, Reach, Scenario
from benchmarks.shared.floor_client import LEAVES_OUT
from benchmarks.shared.prototype import ABOUT, WITHIN

COMMON = {"timeout_s": 1.0, "warmup_s": 2.0, "seconds": 4.0}

PYTHON = ("trio_socket_tcp", "uvloop_tcp")


def _half(pace: str, bound: float) -> Reach:
    return Reach(
        f"TCP half against HAProxy's check, {pace}",
        pace,
        "cpu_us_per_check",
        bound,
        of="fastprobe_tcp_half",
        against="haproxy_tcp",
    )


def _full(pace: str) -> Reach:
    return Reach(f"TCP full against HAProxy's half, {pace}", pace, "cpu_us_per_check", 1.0, against="haproxy_tcp")


def _prototype(pace: str, mode: str) -> Reach:
    end = "_half" if mode == "half" else ""
    return Reach(
        f"TCP {mode} against the C prototype, {pace}",
        pace,
        "cpu_us_per_check",
        WITHIN,
        of=f"fastprobe_tcp{end}",
        against=f"prototype_tcp{end}",
    )


SCENARIO = Scenario(
    title="TCP checks",
    ours="fastprobe_tcp",
    contenders=(
        "fastprobe_tcp",
        "prototype_tcp",
        "floor_tcp",
        "fastprobe_tcp_half",
        "prototype_tcp_half",
        "haproxy_tcp",
        "floor_tcp_half",
        "trio_socket_tcp",
        "uvloop_tcp",
        "blackbox_tcp",
    ),
    also_ours=("fastprobe_tcp_half",),
    floors=("floor_tcp", "floor_tcp_half", "prototype_tcp", "prototype_tcp_half"),
    workloads={
        "10,000/s": {"targets": 10_000, "interval_s": 1.0, **COMMON},
        "8,000/s": {"targets": 8_000, "interval_s": 1.0, **COMMON},
        "4,000/s": {"targets": 4_000, "interval_s": 1.0, **COMMON},
        "500/s": {"targets": 500, "interval_s": 1.0, **COMMON},
    },
    metrics={
        "cpu_us_per_check": Metric("CPU", "µs a check"),
        "delivered": Metric("delivered", "of the checks asked for", more_is_better=True),
        "core": Metric("of one core", "", more_is_better=None),
        "p99_ms": Metric("latency p99 as measured", "ms"),
        "failed": Metric("failed", "", more_is_better=None),
    },
    reach=(
        Reach("native TCP check CPU, full handshake", "10,000/s", "cpu_us_per_check", 0.40, against="trio_socket_tcp"),
        _half("4,000/s", 0.8),
        _half("8,000/s", 0.75),
        _full("4,000/s"),
        _full("8,000/s"),
        _prototype("4,000/s", "full"),
        _prototype("10,000/s", "full"),
        _prototype("4,000/s", "half"),
        _prototype("10,000/s", "half"),
    ),
    without={"10,000/s": ("blackbox_tcp",), "8,000/s": PYTHON, "4,000/s": PYTHON, "500/s": ("blackbox_tcp",)},
    needs_target=True,
    notes=LEAVES_OUT
    + ABOUT
    + """\
10,000/s is what 100,000 probes at 10 s ask for, the load that this project is for; who cannot keep it does what one core
allows, and CPU is per check done. Peers connect and close; we also keep counters, rise and fall, a histogram and the
last results of each target. `fastprobe_tcp` completes the handshake; `fastprobe_tcp_half` and `haproxy_tcp` reset on
SYN-ACK, which proves that the target's kernel answers and wakes no process there. Of HAProxy and blackbox_exporter the
program's own process is counted; the exporter is asked as fast as it answers. The slower the
pace, the more checks pay for a wake-up of their own: less is shared. A full handshake costs us three system calls
(connect, the kernel's round trip, disconnect) and the kernel, which does the target's half of the work in ours, the
acknowledgement and a wake-up of the target's process besides: that is what `half` saves.
""",
)
