"""Files that others replace while we run: keys of issuers, lists of revoked certificates. Looked at once a second at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 1.0


class WatchedFile:
    """Made before the file is read for the first time, so that a change in between is seen."""

    def __init__(self, path: Path, now_s: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now_s = now_s
        self._looked_at_s = now_s()
        self._taken = self._seen = _stamp(path)

    def is_new(self) -> bool:
        """Whether it is another than the one that was taken; every second again until it is."""
        now_s = self._now_s()
        if 0 <= now_s - self._looked_at_s < LOOK_EVERY_S:
            return False
        self._looked_at_s = now_s
        self._seen = _stamp(self.path)
        return self._seen != self._taken

    def take(self) -> None:
        """It has been read, as it was when it was looked at."""
        self._taken = self._seen


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
