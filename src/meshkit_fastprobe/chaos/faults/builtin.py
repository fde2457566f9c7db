"""The kinds that come with the package, registered by importing them."""

from meshkit_fastprobe.chaos.faults import (
    bandwidth,
    blackhole,
    error,
    latency,
    null,
    packet_delay,
    packet_loss,
    pause,
    reset,
    restart,
)
from meshkit_fastprobe.chaos.faults.registry import builtin_faults

__all__ = [
    "bandwidth",
    "blackhole",
    "builtin_faults",
    "error",
    "latency",
    "null",
    "packet_delay",
    "packet_loss",
    "pause",
    "reset",
    "restart",
]
