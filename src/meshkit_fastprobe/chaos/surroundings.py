"""What the conductor is told of the host around it, and what it tells whoever prepares."""

from __future__ import annotations

from typing import Protocol

import msgspec

from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.security.audit_chain import Entry


class Auditor(Protocol):
    """security.audit.Audit."""

    async def append(self, entry: Entry) -> object: ...
    def note(self, entry: Entry) -> None: ...


class Surroundings(Protocol):
    """What the conductor is told by whoever opens it."""

    @property
    def audit(self) -> Auditor: ...
    def is_on(self, toggle: str) -> bool: ...
    def tell(self, run: Run) -> None: ...


class Prepared(msgspec.Struct, frozen=True):
    """What is shown before the second yes, and what gives it, for so long."""

    run: Run
    token: str
    lasts_s: float
