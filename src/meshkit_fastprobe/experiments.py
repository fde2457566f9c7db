"""What experiments are, as people write them down: whose probes they are judged by, how far they may go, when they may not run.

Values only, for settings of every layer; chaos/ lives by them. Durations are in seconds.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Protocol

import msgspec

from meshkit_fastprobe.when import Once, Weekly

ID_PATTERN: Final = "[a-z0-9][a-z0-9-]{0,47}"
"""Of experiments: their ids stand in the names of what they make in a kernel."""
MAX_DURATION_S: Final = 86_400.0
MAX_CONFIRM_S: Final = 300.0
MAX_COOLDOWN_S: Final = 86_400.0
DEFAULT_RECOVERY_S: Final = 60.0


class FaultLike(Protocol):
    """What a configuration knows of a fault: faults stand in a layer above this one."""

    kind: ClassVar[str]


class Selector(msgspec.Struct, frozen=True, kw_only=True):
    """The probes that meet all that is given; name is a glob. Nothing given: all probes of the host."""

    name: str | None = None
    cluster: str | None = None
    namespace: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


class SteadyState(Selector, frozen=True, kw_only=True):
    """What has to hold of these probes before, during and after: this share of them is up (healthy or degraded)."""

    healthy_ratio: float = 0.9


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, for so long, judged by these probes.

    affects: probes that the fault may bring down at worst; none given: whatever steady_state watches is asked whether it still
    holds, and nothing is foretold. recovery_s: the time that what was hurt has to be well again.
    """

    id: str
    fault: FaultLike
    duration_s: float
    steady_state: SteadyState | None = None
    affects: Selector | None = None
    recovery_s: float = DEFAULT_RECOVERY_S
    two_person: bool = False
    says: str = ""

    @property
    def namespace(self) -> str:
        """Whose experiment it is: what scopes of bindings are compared with."""
        return self._axis("namespace")

    @property
    def cluster(self) -> str:
        """The cluster of what it may touch; empty when nothing says it."""
        return self._axis("cluster")

    def _axis(self, axis: str) -> str:
        named = (getattr(selector, axis) for selector in (self.affects, self.steady_state) if selector is not None)
        return next((value for value in named if value), "")


class Blackout(msgspec.Struct, frozen=True, kw_only=True):
    """While it lasts nothing starts, and what runs is ended."""

    reason: str
    when: Once | Weekly


class ProxySettings(msgspec.Struct, frozen=True, kw_only=True):
    """A listener for TCP or UDP in front of a dependency, through which faults can pass."""

    name: str
    listen: str
    upstream: str
    protocol: str = "tcp"


class ChaosSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How far experiments of a host may go. Nothing starts before the toggles `chaos.enabled` and `chaos.KIND.enabled` are on.

    healthy_floor: the share of each group that stays healthy if everything that an experiment affects goes down; below it,
    the experiment is refused. max_concurrent_per_group: experiments at once that concern one cluster and namespace.
    max_concurrent_fleet: on this host and its peers together; None: they are not asked. protected:
    globs of targets, resources and probes that may never be hurt; an address among them is also kept out of what networks
    cover. confirm_s: how long a confirmation is good. cooldown_s: between two runs of one experiment, or on one resource.
    """

    experiments: tuple[Experiment, ...] = ()
    proxies: tuple[ProxySettings, ...] = ()
    protected: tuple[str, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    healthy_floor: float = 0.5
    max_duration_s: float = 600.0
    max_concurrent: int = 1
    max_concurrent_per_group: int = 1
    max_concurrent_fleet: int | None = None
    max_restarts_per_hour: int = 6
    cooldown_s: float = 30.0
    confirm_s: float = 60.0
    two_person: bool = False


def parameters_of(fault: FaultLike) -> dict[str, Any]:
    """What was written of a fault, as plain data in a fixed order."""
    plain: dict[str, Any] = msgspec.to_builtins(fault, order="sorted")
    return plain
