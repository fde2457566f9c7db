"""The kinds that come with this package: importing one registers it, so a kind is known by its line here."""

from meshkit_fastprobe.probes import dns, grpc, http, https, tcp, tls  # noqa: F401 - for their registration
from meshkit_fastprobe.probes.registry import builtin_kinds

__all__ = ["builtin_kinds"]
