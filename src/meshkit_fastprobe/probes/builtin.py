"""The kinds that come with this package: importing one registers it, so a kind is known by its line here."""

from meshkit_fastprobe.probes import dns, exec, grpc, http, https, icmp, quorum, tcp, tls, udp, watch  # noqa: A004, F401 - for their registration; a kind is a module of its name
from meshkit_fastprobe.probes.registry import builtin_kinds

__all__ = ["builtin_kinds"]
