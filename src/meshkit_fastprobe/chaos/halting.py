"""The halt of all chaos: in force at once, on the disk as soon as that takes it, released only by who could know of it."""

from __future__ import annotations

import logging
from typing import Final

from meshkit_fastprobe.chaos.journal import Journal, JournalError
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal

_FACT: Final = "halted"

log = logging.getLogger("meshkit_fastprobe.chaos")


class Halt:
    """Of one host. why: by whom, and what they said; None: nothing is halted."""

    def __init__(self) -> None:
        self.why: str | None = None

    async def recall(self, journal: Journal) -> None:
        """At the start. JournalError when nobody knows."""
        self.why = await journal.fact(_FACT)

    def begin(self, journal: Journal, why: str) -> None:
        """Never waits. Whoever asked may be gone before a word of it is written: it is written all the same."""
        self.why = why
        journal.mean(_FACT, why)

    async def keep(self, journal: Journal) -> None:
        """Returns once a restart would know of it, or the disk has refused."""
        try:
            await journal.keep(_FACT, self.why)
        except JournalError as error:
            log.error("the halt is in force, but would not outlive a restart: %s", error)

    async def release(self, journal: Journal, known: str | None) -> None:
        """Durable on return. ChaosRefusedError, and all stays halted, when there is a newer one, or the disk refuses.

        known: the halt of which whoever releases it could know.
        """
        self._must_be(known)
        try:
            await journal.keep(_FACT, None)
        except JournalError as error:
            journal.mean(_FACT, self.why)  # else it would be released after all, as soon as the disk is well again
            raise ChaosRefusedError(Refusal.UNAVAILABLE, str(error)) from None
        self._must_be(known)
        self.why = None

    def _must_be(self, known: str | None) -> None:
        # The same object: who halts again in the same words means it as well. None: somebody else was faster, which is calm.
        if self.why is not None and self.why is not known:
            what = f"all chaos was halted again meanwhile, {self.why}"
            raise ChaosRefusedError(Refusal.WRONG_PHASE, what, "ask who did, then resume it again")
