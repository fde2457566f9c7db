"""Import modules in this fresh process and tell what it cost: shared by the contenders of scenarios/import_time.py."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from benchmarks.measure import rss_bytes


def cost_of(*modules: str) -> dict[str, Any]:
    rss_before, loaded_before = rss_bytes(), len(sys.modules)
    started = time.perf_counter()
    for module in modules:
        importlib.import_module(module)
    wall_s = time.perf_counter() - started
    return {"wall_s": wall_s, "modules": len(sys.modules) - loaded_before, "rss_mib": (rss_bytes() - rss_before) / 2**20}
