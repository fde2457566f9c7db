"""Denials, folded: whoever is refused all the time must not fill the disk with it.

The first refusal of somebody for something is written at once; those that follow within a minute are counted, and their
number is written when the minute is over. However many there are who try, a minute has a bounded number of records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio

from meshkit_fastprobe.security.audit_chain import Entry

FOLD_S: Final = 60.0
MAX_APART: Final = 200
"""Different refusals a minute that are told apart; further ones are counted together."""
DENIED: Final = "denied"


class Denials:
    """Writes through `write`, which must not wait or fail: Audit.note."""

    def __init__(self, write: Callable[[Entry], None], now_s: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now_s = now_s
        self._since_s = now_s()
        self._repeated: dict[tuple[str, str], int] = {}
        self._others = 0

    def deny(self, entry: Entry) -> None:
        """Of one actor and action; scope and detail are those of the first."""
        if self._now_s() - self._since_s >= FOLD_S:
            self.flush()
        key = (entry.actor, entry.action)
        if key in self._repeated:
            self._repeated[key] += 1
        elif len(self._repeated) < MAX_APART:
            self._repeated[key] = 0
            self._write(entry)
        else:
            self._others += 1

    async def run(self) -> None:
        """Write what was counted when its minute is over, whether somebody is refused again or not. Until cancelled."""
        while True:
            await trio.sleep(FOLD_S)
            if self._now_s() - self._since_s >= FOLD_S:
                self.flush()

    def flush(self) -> None:
        """Write what was only counted; a new minute begins."""
        for (actor, action), times in self._repeated.items():
            if times:
                self._write(Entry(actor=actor, action=action, result=DENIED, detail=f"{times} more times within a minute"))
        if self._others:
            self._write(Entry(actor="others", action="any", result=DENIED, detail=f"{self._others} times within a minute"))
        self._repeated.clear()
        self._others = 0
        self._since_s = self._now_s()
