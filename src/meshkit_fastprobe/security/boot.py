"""Which boot of this machine records belong to: monotonic times of different boots cannot be compared."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import Final

_KERNEL: Final = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """The kernel's, or one of this process where there is none to read."""
    try:
        return _KERNEL.read_text("ascii").strip()
    except OSError:
        return secrets.token_hex(16)
