"""Netem, the field's way of making a bad line: whether this kernel has it, and why no fault here is made with it.

Its queueing discipline belongs to a device and stays until somebody deletes it: docs/internals/decisions/no-netem.md.
"""

from __future__ import annotations

import contextlib
import gzip
import platform
import zlib
from pathlib import Path
from typing import Final

from meshkit_fastprobe.chaos.faults.base import Backing, Way

BACKEND: Final = "netem"
NOT_USED: Final = "not used: nothing in a kernel ends it when this process dies or hangs"
MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024
ROOT: Final = Path("/")


def way(root: Path = ROOT) -> Way:
    """Reads what the kernel says of itself. Asking it for a discipline would have it load the module."""
    there = has_netem(root)
    what = {True: "this kernel has sch_netem", False: "this kernel has no sch_netem", None: "sch_netem may be there"}[there]
    return Way(BACKEND, available=False, reason=f"{what}; {NOT_USED}")


def backing() -> Backing:
    told = way()
    return Backing(told.name, usable=False, why=told.reason)


def has_netem(root: Path = ROOT) -> bool | None:
    """None: this kernel tells neither its configuration nor its modules."""
    if (root / "sys/module/sch_netem").exists():
        return True
    built_as = _built_as(root / "proc/config.gz")
    if built_as in {"y", ""}:
        return built_as == "y"
    modules = root / "lib/modules" / platform.release()
    with contextlib.suppress(OSError):  # a unit with ProtectKernelModules= may not look there, as ours
        listed = [
            path.read_text(errors="replace")
            for name in ("modules.builtin", "modules.dep")
            if (path := modules / name).is_file()
        ]
        if listed:
            return any("/sch_netem.ko" in text for text in listed)
    return None


def _built_as(config: Path) -> str | None:
    """y, m, or empty: not at all. None: it is not told."""
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(config) as told:
        for line in told.read(MAX_CONFIG_BYTES).splitlines():
            if line.startswith(b"CONFIG_NET_SCH_NETEM="):
                return line.partition(b"=")[2].decode(errors="replace")
        return ""
    return None
