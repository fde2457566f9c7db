"""What the kernel does not end by itself when we die, a watchdog process ends: it lives while there is something to guard.

It notices our death by the end of a socket and by a descriptor of our process, and our hanging by a lease.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from typing import Final

from meshkit_fastprobe.chaos.faults.base import LEASE_S, MARK_PATTERN, FaultError
from meshkit_fastprobe.chaos.helpers import Helper
from meshkit_fastprobe.chaos.processes import Identity, held

PROGRAM: Final = Path(__file__).with_name("watchdog_process.py")
LEASE_MS: Final = round(LEASE_S * 1000)

_mark = re.compile(MARK_PATTERN)


class Watchdog:
    """At most one process; started by the first guard, gone after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._helper: Helper | None = None
        self._marks: set[str] = set()

    @property
    def pid(self) -> int | None:
        return None if self._helper is None else self._helper.pid

    def guard(self, mark: str, identity: Identity) -> None:
        """From now on it is continued when we do not renew. FaultError: it is not guarded; ProcessLookupError: ended."""
        assert _mark.fullmatch(mark), "marks are ids of experiments"
        with self._lock, held(identity) as process:
            if mark in self._marks:
                raise FaultError(f"{mark} is guarded already")
            self._ask(f"guard {mark} {LEASE_MS}", process)
            self._marks.add(mark)

    def renew(self, mark: str) -> None:
        """FaultError: it is not guarded any more; the lease has run out, or the watchdog has died."""
        with self._lock:
            if mark not in self._marks:
                raise FaultError(f"{mark} is not guarded")
            self._ask(f"renew {mark} {LEASE_MS}")

    def forget(self, mark: str) -> None:
        """Calm when it is not guarded, or nobody is there to forget it."""
        with self._lock:
            if mark in self._marks:
                self._marks.discard(mark)
                with contextlib.suppress(FaultError):
                    self._ask(f"forget {mark}")
            if not self._marks:
                self._end()

    def disown(self) -> None:
        """In a forked child: it is no parent of the watchdog."""
        if self._helper is not None:
            self._helper.disown()
        self._helper, self._marks = None, set()
        self._lock = threading.Lock()  # one that another thread held is held for ever in here

    def _ask(self, message: str, *descriptors: int) -> None:
        if self._helper is None:
            self._helper = Helper(PROGRAM)
        try:
            answer = self._helper.ask(message.encode("ascii"), descriptors)
        except FaultError:
            self._end()  # it continues what it guards; nobody renews
            raise
        if answer != b"ok":
            raise FaultError(f"the watchdog refuses {message!r}: its lease has run out")

    def _end(self) -> None:
        """What it still guards it continues first."""
        if self._helper is not None:
            self._helper.hang_up()
            self._helper = None
        self._marks.clear()


watchdog: Final = Watchdog()
"""Of this process, for all faults that need one."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watchdog.disown)
