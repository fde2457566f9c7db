"""Reading a configuration with everything that is built in. What knows faults is imported for who has experiments only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.config.load import load
from meshkit_fastprobe.config.spec import Config, Faults
from meshkit_fastprobe.model import Settings
from meshkit_fastprobe.probes.builtin import builtin_kinds

if TYPE_CHECKING:
    from meshkit_fastprobe.aggregation.glance import Glance
    from meshkit_fastprobe.aggregation.snapshot import Snapshot
    from meshkit_fastprobe.chaos.conductor import Conductor
    from meshkit_fastprobe.chaos.faults.registry import FaultRegistry


class ChaosHost(Protocol):
    """A Diagnostics, as experiments see it."""

    @property
    def settings(self) -> Settings: ...
    def snapshot(self) -> Snapshot: ...


def load_config(path: str | os.PathLike[str]) -> Config:
    """Read a configuration file with the built-in kinds and the plug-ins it names. ConfigError says what is wrong and where."""
    return load(path, builtin_kinds, _faults)


def conductor_of(
    host: ChaosHost, points: Mapping[str, InjectionPoint], glance: Callable[[], Glance], faults: Faults | None = None
) -> Conductor:
    """The conductor of a host that may have experiments."""
    from meshkit_fastprobe.chaos.bench import Bench
    from meshkit_fastprobe.chaos.conductor import Conductor
    from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
    from meshkit_fastprobe.chaos.restart_budget import FILE as RESTARTS
    from meshkit_fastprobe.chaos.restart_budget import SERVICE as RESTART_BUDGET
    from meshkit_fastprobe.chaos.restart_budget import RestartBudget

    settings = host.settings
    assert settings.chaos is not None
    state_dir = None if settings.state_dir is None else Path(settings.state_dir)
    bench = Bench(settings.host, points, state_dir)
    kept = None if state_dir is None else state_dir / RESTARTS
    bench.offer(RESTART_BUDGET, RestartBudget(kept, settings.chaos.max_restarts_per_hour))
    return Conductor(
        settings.chaos,
        host=settings.host,
        cluster=settings.cluster,
        faults=cast("FaultRegistry", faults) or builtin_faults,
        bench=bench,
        snapshot=host.snapshot,
        glance=glance,
    )


def _faults() -> Faults:
    from meshkit_fastprobe.chaos.faults.builtin import builtin_faults

    return builtin_faults
