"""Letting go of old records, so that a disk does not fill: behind a signed checkpoint, so that the chain stays provable.

What a copy has not got yet is kept, however old. A piece at a time: the writer has to get on.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from meshkit_fastprobe.access import AuditSettings
from meshkit_fastprobe.security.audit_chain import decode
from meshkit_fastprobe.security.audit_store import AuditStore

EVERY_S: Final = 60.0
AT_ONCE: Final = 4096

log = logging.getLogger("meshkit_fastprobe.audit")


class Retention:
    """Of one audit."""

    def __init__(self, settings: AuditSettings) -> None:
        self._keep_s = settings.keep_s
        self._max_records = settings.max_records
        self._next_s = 0.0

    @property
    def is_on(self) -> bool:
        return self._keep_s is not None or self._max_records is not None

    def trim(self, store: AuditStore, copied: int | None, *, now_s: float | None = None) -> int:
        """How many records were dropped. copied: what copies have; None when there are none. now_s: the wall clock."""
        if not self.is_on or time.monotonic() < self._next_s:
            return 0
        try:
            dropped = self._trim(store, copied, time.time() if now_s is None else now_s)
        except Exception as error:  # noqa: BLE001 - the disk, or what somebody altered: there are others to write for
            log.error("old records of the audit could not be dropped: %s", error)
            dropped = 0
        self._next_s = time.monotonic() + (EVERY_S if dropped < AT_ONCE else 0)
        return dropped

    def _trim(self, store: AuditStore, copied: int | None, now_s: float) -> int:
        oldest = store.after(0, AT_ONCE)
        cut = 0
        for seq, content, _ in oldest:
            old = self._keep_s is not None and decode(content).at_ns < (now_s - self._keep_s) * 1e9
            beyond = self._max_records is not None and seq <= store.head.seq - self._max_records
            if not (old or beyond) or (copied is not None and seq > copied):
                break
            cut = seq
        return store.forget_until(cut) if cut else 0
