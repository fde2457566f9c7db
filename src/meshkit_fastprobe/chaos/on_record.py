"""What the audit is told of experiments: before anything is hurt, on the disk; of everything else, as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.surroundings import Auditor
from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.security.audit_chain import Entry
from meshkit_fastprobe.telemetry.tracing import traced

DONE: Final = "allowed"
REFUSED: Final = "refused"
HOST: Final = "host"
"""The actor of what nobody asked for: expiry, reconciliation."""


class Record:
    """Of one host. What concerns no run has the host as its scope."""

    def __init__(self, audit: Auditor, host: str) -> None:
        self._audit = audit
        self._host = host

    async def append(
        self, run: Run | None, subject: str, action: str, *, reason: str = "", ticket: str = "", detail: str = ""
    ) -> None:
        """On the disk when this returns; ChaosRefusedError when it cannot be, and then nothing may be done."""
        scope = self._host if run is None else run.id
        try:
            await self._audit.append(
                Entry(actor=subject, action=action, scope=scope, result=DONE, reason=reason, ticket=ticket, detail=detail)
            )
        except AuditError as error:
            raise ChaosRefusedError(
                Refusal.UNAVAILABLE, f"nothing was done: {error}", "look at the disk of state_dir"
            ) from None

    def note(
        self, run: Run | None, subject: str, action: str, *, reason: str = "", detail: str = "", result: str = DONE
    ) -> None:
        """Never waits, never fails."""
        scope, why = (self._host, "") if run is None else (run.id, run.why)
        self._audit.note(Entry(actor=subject, action=action, scope=scope, result=result, reason=reason, detail=detail or why))

    def note_orphan(self, mark: str, detail: str) -> None:
        """A fault was found that no run knows of."""
        self._audit.note(Entry(actor=HOST, action="chaos.orphan", scope=mark, result=DONE, detail=detail))


def fields_of(run: Run) -> Mapping[str, object]:
    """For structured logs."""
    return {"experiment": run.experiment, "run": run.id, "phase": str(run.phase), "fault": run.plan.fault.kind, **traced()}
