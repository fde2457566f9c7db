"""The public test kit: what tests of an embedder, of a probe kind or of a fault need. Nothing shipped imports it.

A virtual clock, real loopback targets that behave well or badly on purpose, a proxy that faults pass through, and checks of
conformance that every kind of probe and fault here passes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshkit_fastprobe.testing.behaviour import Target
    from meshkit_fastprobe.testing.clock import on_virtual_clock, stepped, virtual_clock
    from meshkit_fastprobe.testing.conformance import ConformanceError
    from meshkit_fastprobe.testing.fault_conformance import check_fault
    from meshkit_fastprobe.testing.loopback_targets import loopback
    from meshkit_fastprobe.testing.probe_conformance import check_probe
    from meshkit_fastprobe.testing.proxying import FaultProxy, Shape, fault_proxy

_HOME_OF = {
    "ConformanceError": "conformance",
    "FaultProxy": "proxying",
    "Shape": "proxying",
    "Target": "behaviour",
    "check_fault": "fault_conformance",
    "check_probe": "probe_conformance",
    "fault_proxy": "proxying",
    "loopback": "loopback_targets",
    "on_virtual_clock": "clock",
    "stepped": "clock",
    "virtual_clock": "clock",
}

__all__ = [
    "ConformanceError",
    "FaultProxy",
    "Shape",
    "Target",
    "check_fault",
    "check_probe",
    "fault_proxy",
    "loopback",
    "on_virtual_clock",
    "stepped",
    "virtual_clock",
]


def __getattr__(name: str) -> Any:
    """Names are imported when first used: the process of the targets needs neither trio nor NumPy."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
