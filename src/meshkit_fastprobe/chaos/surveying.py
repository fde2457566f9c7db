"""Asking every kind of fault for its ways here: on demand, once for all who ask at the same time, and not again at once.

Whoever may read may ask, as often as they like; the kernel checks a table for it, which is quick but not free.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

import trio

from meshkit_fastprobe.chaos.faults.base import FaultHost, HasWays, Way
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry

FRESH_S: Final = 2.0
"""How long what was found is told again. An experiment asks anew when it is prepared."""
ASK_S: Final = 2.0
"""For one kind to answer."""

log = logging.getLogger("meshkit_fastprobe.chaos")


class Survey:
    """What was found last, and when."""

    def __init__(self) -> None:
        self._found: Mapping[str, tuple[Way, ...]] = {}
        self._asked: FaultRegistry | None = None
        self._fresh_until = float("-inf")
        self._lock = trio.Lock()

    async def ways(self, faults: FaultRegistry, host: FaultHost) -> Mapping[str, tuple[Way, ...]]:
        """By kind, best first; none of a kind that tells none. Of every kind that is registered when this returns."""
        async with self._lock:
            if self._asked is not faults or trio.current_time() >= self._fresh_until:
                self._found, self._asked = await _asked(faults, faults, host), faults
                self._fresh_until = trio.current_time() + FRESH_S
            while new := [kind for kind in faults if kind not in self._found]:  # registered since, or while others were asked
                self._found = {**self._found, **await _asked(faults, new, host)}
            return self._found


async def _asked(faults: FaultRegistry, kinds: Iterable[str], host: FaultHost) -> dict[str, tuple[Way, ...]]:
    found: dict[str, tuple[Way, ...]] = {}
    async with trio.open_nursery() as nursery:
        for kind in kinds:
            nursery.start_soon(_ask, faults, kind, host, found)
    return found


async def _ask(faults: FaultRegistry, kind: str, host: FaultHost, found: dict[str, tuple[Way, ...]]) -> None:
    fault = faults.as_fault(kind)
    found[kind] = ()
    if not isinstance(fault, HasWays) or not callable(fault.ways):
        return
    try:
        with trio.fail_after(ASK_S):
            found[kind] = await fault.ways(host)
    except trio.TooSlowError:
        found[kind] = (Way(kind, available=False, reason=f"it did not tell its ways within {ASK_S:g} s"),)
    except Exception as error:
        log.exception("fault %s does not tell its ways", kind)
        found[kind] = (Way(kind, available=False, reason=f"it does not tell its ways: {type(error).__name__}"),)
