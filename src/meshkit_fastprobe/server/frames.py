"""HTTP/2 frames, counted before anybody works on them: a flood of cheap ones is dear to whoever answers it.

SETTINGS and PING ask for an answer each, a RST_STREAM makes the work for its request worthless (CVE-2023-44487, "rapid reset"),
and none of them is bounded by the streams a visitor may have open, nor needs an identity. Only the nine bytes before each frame
are looked at here (RFC 9113, 4.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES: Final = 9
BURST: Final = 100.0
PER_S: Final = 100.0
"""What a visitor may spend, at once and a second in the long run. A browser or a gRPC client needs a handful."""

_DATA, _HEADERS, _WINDOW_UPDATE = 0x0, 0x1, 0x8
_COSTS: Final = {_HEADERS: 0.1, _WINDOW_UPDATE: 0.01}
"""What moves data or asks for something; the rate of requests and the windows bound it besides."""
_COST: Final = 1.0
_SMALL_BYTES: Final = 512
_COST_OF_DATA, _COST_OF_LITTLE = 0.01, 0.1
"""A body in crumbs: the windows alone would let through 65,535 at once, each as dear as a whole frame."""


class FrameMeter:
    """Reads along with one connection. A connection that does not speak HTTP/2 costs nothing."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._at_s = now_s()
        self._left = BURST
        self._kept = bytearray()
        self._skip = 0
        self._speaks_it: bool | None = None

    def take(self, data: bytes | bytearray) -> bool:
        """False when there were too many by now: the visitor should be left."""
        if self._speaks_it is False:
            return True
        self._kept += data
        if self._speaks_it is None and not self._greet():
            return True
        now_s = self._now_s()
        self._left = min(BURST, self._left + (now_s - self._at_s) * PER_S)
        self._at_s = now_s
        self._left -= self._cost()
        return self._left >= 0.0

    def _greet(self) -> bool:
        """Whether frames begin."""
        if not PREFACE.startswith(self._kept[: len(PREFACE)]):
            self._speaks_it = False
            self._kept.clear()
        elif len(self._kept) >= len(PREFACE):
            self._speaks_it = True
            del self._kept[: len(PREFACE)]
        return bool(self._speaks_it)

    def _cost(self) -> float:
        """Of the frames that begin in what is kept, which is forgotten."""
        cost, at, kept = 0.0, self._skip, self._kept
        while at + HEADER_BYTES <= len(kept):
            size = int.from_bytes(kept[at : at + 3])
            kind = kept[at + 3]
            if kind != _DATA:
                cost += _COSTS.get(kind, _COST)
            else:
                cost += _COST_OF_DATA if size > _SMALL_BYTES else _COST_OF_LITTLE if size else _COST
            at += HEADER_BYTES + size
        if at >= len(kept):
            self._skip = at - len(kept)
            kept.clear()
        else:
            self._skip = 0
            del kept[:at]
        return cost
