"""Import modules in this fresh process and tell what it cost: shared by the contenders of scenarios/import_time.py."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from benchmarks.measure import rss_bytes


def cost_of(*modules: str, then: str | None = None) -> dict[str, Any]:
    """then: a name of the first module to use as well, since names may be imported when first used."""
    rss_before, loaded_before = rss_bytes(), len(sys.modules)
    started = time.perf_counter()
    for module in modules:
        importlib.import_module(module)
    import_s = time.perf_counter() - started
    if then is not None:
        getattr(sys.modules[modules[0]], then)
    wall_s = time.perf_counter() - started
    return {
        "import_s": import_s,
        "wall_s": wall_s,
        "modules": len(sys.modules) - loaded_before,
        "rss_mib": (rss_bytes() - rss_before) / 2**20,
    }
