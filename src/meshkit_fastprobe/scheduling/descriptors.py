"""How many sockets the native lane may hold: what the kernel allows, less what the host needs and what runs share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NamedTuple

RESERVED_FOR_HOST: Final = 128
"""Descriptors left to the embedding process: listeners, files, its own clients."""
SHARED_SOCKETS: Final = 64 + 64
"""By which questions of DNS and echoes of ICMP leave, at most (FP_QUESTION_SOCKETS, FP_ECHO_SOCKETS), besides connections."""
KEPT_FREE: Final = RESERVED_FOR_HOST + SHARED_SOCKETS
LEAST_CONNECTIONS: Final = 8


class Budget(NamedTuple):
    connections: int
    wanted: int
    soft_before: int
    soft_after: int
    ports: int | None = None
    """Ephemeral ports of this host: so many connections at once may lead to one address and port."""

    @property
    def short(self) -> bool:
        return self.connections < self.wanted

    def __str__(self) -> str:
        raised = (
            f"raised from {self.soft_before} to {self.soft_after}"
            if self.soft_after != self.soft_before
            else f"{self.soft_after}"
        )
        ports = f"; {self.ports} ephemeral ports for each target address" if self.ports else ""
        return f"native lane: {self.connections} connections at once of {self.wanted} wanted; descriptor limit {raised}{ports}"


def budget(wanted: int) -> Budget:
    """Raise the soft limit as far as allowed and needed, and bound the connections by what is left."""
    if sys.platform == "win32":
        return Budget(wanted, wanted, wanted, wanted)
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = _open_descriptors()
    goal = wanted + in_use + KEPT_FREE
    raised = soft
    if soft != resource.RLIM_INFINITY and soft < goal:
        raised = goal if hard == resource.RLIM_INFINITY else min(goal, hard)
        if raised > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        else:
            raised = soft
    left = wanted if raised == resource.RLIM_INFINITY else raised - in_use - KEPT_FREE
    return Budget(max(LEAST_CONNECTIONS, min(wanted, left)), wanted, soft, raised, _ephemeral_ports())


def _ephemeral_ports() -> int | None:
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return None
    return high - low + 1


def _open_descriptors() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 64
