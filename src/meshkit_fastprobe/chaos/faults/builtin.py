"""The kinds that come with the package, registered by importing them."""

from meshkit_fastprobe.chaos.faults import null, packet_delay, packet_loss, pause, restart
from meshkit_fastprobe.chaos.faults.registry import builtin_faults

__all__ = ["builtin_faults", "null", "packet_delay", "packet_loss", "pause", "restart"]
