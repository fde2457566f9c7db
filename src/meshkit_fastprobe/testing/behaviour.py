"""What a loopback target does when it is asked."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

TargetKind: TypeAlias = Literal["tcp", "http", "dns"]
Role: TypeAlias = Literal["healthy", "slow", "hanging", "failing", "refusing", "flapping"]
"""healthy answers at once · slow after delay_s · hanging never · failing answers 503 or NXDOMAIN · refusing has nobody
listening · flapping listens and refuses by turns of flap_s."""


class Target(msgspec.Struct, frozen=True):
    """One target to start; port 0 lets the kernel choose."""

    kind: TargetKind
    role: Role
    host: str = "127.0.0.1"
    port: int = 0
    delay_s: float = 0.15
    flap_s: float = 4.0
    body: str = "ok"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
