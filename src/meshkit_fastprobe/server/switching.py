"""The toggles there are, and what each of them does to a running host."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from meshkit_fastprobe.config.toggles import LOG_LEVEL, LOG_LEVELS, SAMPLING_RATES, TRACE_SAMPLING
from meshkit_fastprobe.security.toggles import Declared, Toggles
from meshkit_fastprobe.server.host import Host

PROBES: Final = "probes.enabled"
CHAOS: Final = "chaos.enabled"
INCIDENT: Final = "chaos.incident"

_package_log: Final = logging.getLogger("meshkit_fastprobe")


def of_kind(kind: str) -> str:
    return f"probes.{kind}.enabled"


def of_fault(fault: str) -> str:
    return f"chaos.{fault}.enabled"


def declared(kinds: Iterable[str], faults: Iterable[str] = ()) -> list[Declared]:
    """Chaos is off until somebody switches it on; everything else is on."""
    return [
        Declared(LOG_LEVEL, "info", "the least important lines that are logged", LOG_LEVELS),
        Declared(TRACE_SAMPLING, "0", "the share of requests that are traced", SAMPLING_RATES),
        Declared(PROBES, True, "whether anything is probed"),
        *(Declared(of_kind(kind), True, f"whether probes of kind {kind} run") for kind in kinds),
        Declared(CHAOS, False, "whether experiments may start on this host, and go on", stops=False),
        Declared(INCIDENT, False, "on while there is an incident: no experiment starts", stops=True),
        *(Declared(of_fault(fault), False, f"whether {fault} may be injected on this host", stops=False) for fault in faults),
    ]


async def apply(host: Host, toggles: Toggles) -> None:
    """Put all of them into force."""
    level = toggles[LOG_LEVEL]
    if level.version or toggles.ceiling(LOG_LEVEL) is not None:  # until somebody says so, the level is the embedder's
        _package_log.setLevel(str(level.value).upper())
    host.endpoints.sampler.probability = float(toggles[TRACE_SAMPLING].value)
    off = {kind for kind in host.kinds if of_kind(kind) in toggles.declared and not toggles[of_kind(kind)].value}
    await host.pauses.switch(frozenset(off), all_off=not toggles[PROBES].value)
