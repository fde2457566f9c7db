"""The life of a run, as a table: where it may go from where it stands."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a run stands. An experiment without a run is a draft."""

    DRAFT = "draft"
    PREPARED = "prepared"
    AWAITING_APPROVAL = "awaiting_approval"
    ARMED = "armed"
    INJECTING = "injecting"
    ACTIVE = "active"
    REVERTING = "reverting"
    RECOVERING = "recovering"
    COMPLETED = "completed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    ABORTED = "aborted"
    NO_EFFECT = "no_effect"
    REVERT_FAILED = "revert_failed"
    ORPHAN_REVERTED = "orphan_reverted"


_P = Phase
ALLOWED: Final[dict[Phase, frozenset[Phase]]] = {
    _P.DRAFT: frozenset({_P.PREPARED, _P.AWAITING_APPROVAL, _P.REJECTED}),
    _P.PREPARED: frozenset({_P.ARMED, _P.REJECTED, _P.EXPIRED, _P.CANCELLED}),
    _P.AWAITING_APPROVAL: frozenset({_P.ARMED, _P.REJECTED, _P.EXPIRED, _P.CANCELLED}),
    _P.ARMED: frozenset({_P.INJECTING, _P.REJECTED, _P.CANCELLED, _P.ORPHAN_REVERTED}),
    _P.INJECTING: frozenset({_P.ACTIVE, _P.REVERTING, _P.ORPHAN_REVERTED}),
    _P.ACTIVE: frozenset({_P.REVERTING, _P.ORPHAN_REVERTED}),
    _P.REVERTING: frozenset({_P.RECOVERING, _P.REVERT_FAILED, _P.ORPHAN_REVERTED}),
    _P.RECOVERING: frozenset({_P.COMPLETED, _P.ABORTED, _P.NO_EFFECT, _P.CANCELLED, _P.ORPHAN_REVERTED}),
    # Sticky, but not for ever: whoever stops it again, or starts the host again, tries to undo it again.
    _P.REVERT_FAILED: frozenset({_P.REVERTING, _P.ORPHAN_REVERTED}),
    _P.COMPLETED: frozenset(),
    _P.REJECTED: frozenset(),
    _P.EXPIRED: frozenset(),
    _P.CANCELLED: frozenset(),
    _P.ABORTED: frozenset(),
    _P.NO_EFFECT: frozenset(),
    _P.ORPHAN_REVERTED: frozenset(),
}

FINAL: Final = frozenset(phase for phase, onward in ALLOWED.items() if not onward)
WAITING: Final = frozenset({_P.PREPARED, _P.AWAITING_APPROVAL})
"""Nothing has been touched, and nothing will be without a confirmation."""
HARMFUL: Final = frozenset({_P.INJECTING, _P.ACTIVE, _P.REVERTING, _P.REVERT_FAILED})
"""The fault may be in force."""
LIVE: Final = HARMFUL | {_P.ARMED, _P.RECOVERING}

HALTED: Final = "all chaos was halted"
"""How the reason of a run begins that a halt has ended."""


def moved(now: Phase, onward: Phase) -> Phase:
    """The new phase. A move that the table does not have is a mistake of ours."""
    assert onward in ALLOWED[now], f"no way from {now} to {onward}"
    return onward
