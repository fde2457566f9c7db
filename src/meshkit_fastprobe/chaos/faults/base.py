"""What a fault is: a small frozen description that can be planned, applied, checked, and above all undone.

The order is always the same. `preflight` tells which backends there are here; `plan` freezes what will be touched, and how it
is undone; the plan is on the disk before `apply` changes anything. `revert` and `is_gone` are given nothing but that plan: no
parameters, no object that lived in a process which has died since. A target that is gone is a fault that is gone.

A fault kind is a frozen msgspec Struct whose fields are the keys that people write; construction has no side effects, and
refuses what cannot be with a ConfigError at `Kind.field`. Backends are no shell's business: programs get their arguments
as a list, or a script on standard input that was built from checked parts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Protocol, runtime_checkable

import msgspec

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.experiments import ID_PATTERN

LEASE_S: Final = 3.0
"""How long a leased fault outlives the last renewal; it is renewed every third of this."""
MARK_PATTERN: Final = ID_PATTERN
"""Of marks, which are ids of experiments: what every object that we make in a kernel carries in its name."""


class FaultError(Exception):
    """A fault could not be planned, applied, checked or undone. The message is for the operator: what, and what to do."""


class Backing(msgspec.Struct, frozen=True):
    """One way of making a fault here: usable, or why not."""

    name: str
    usable: bool
    why: str


class Way(msgspec.Struct, frozen=True):
    """One way of making faults of a kind, before anybody says what to hurt: whether this host has it, or why not."""

    name: str
    available: bool
    reason: str


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be hurt, and everything that undoing it takes. Equal plans touch the same things.

    targets: what is hurt, as people say it. resources: what no other fault may touch meanwhile, canonical. handle: what revert
    needs, durable: names, pids with their start times, never secrets. manual: what a person runs or does when revert fails.
    local: the fault lives in this process, and ends with it.
    """

    kind: str
    backend: str
    mark: str
    targets: tuple[str, ...]
    resources: tuple[str, ...]
    handle: dict[str, str]
    manual: str
    local: bool = False


class Effect(msgspec.Struct, frozen=True):
    """What the fault itself says of its effect. in_force: it is in place. touched: what it has hurt so far, if it counts."""

    in_force: bool
    touched: int | None
    told: str


class FaultHost(Protocol):
    """What faults are given of the process they live in."""

    @property
    def name(self) -> str:
        """Of this host."""

    @property
    def points(self) -> Mapping[str, InjectionPoint]:
        """Injection points of the embedder, by name."""

    @property
    def state_dir(self) -> Path | None: ...

    def service(self, key: str) -> object:
        """What faults were given to work with, by "proxy:NAME", "child:NAME" or "callable:NAME". KeyError: none such."""

    @property
    def offered(self) -> Collection[str]:
        """Every key that `service` knows."""


class Fault(Protocol):
    """A kind of fault. LASTS: False of one that is done once applied (a restart), which has nothing to undo."""

    kind: ClassVar[str]
    lasts: ClassVar[bool]

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        """The ways there are here, best first; changes nothing."""

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        """Resolve targets and freeze them; changes nothing. FaultError when there is nothing to hurt, or no way."""

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        """Make it so. FaultError, or anything else: whatever is half done is reverted by who called."""

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        """Whether it is in force now, and what it has touched."""

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        """Undo it: idempotent, within a second or so. FaultError when it could not be."""

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        """Whether nothing of it is left; asks whoever would know (the kernel), not our memory."""

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:
        """Everything here that carries our mark, whoever made it: what a restart has to undo, and a view has to show."""


@runtime_checkable
class Leased(Protocol):
    """Of a fault that the kernel, or a watchdog, ends by itself when nobody renews it."""

    async def renew(self, host: FaultHost, plan: FaultPlan) -> None:
        """Another LEASE_S from now. FaultError when it is gone already."""


@runtime_checkable
class HasWays(Protocol):
    """Of a kind that tells its ways without being told whom to hurt: what a catalogue shows of it."""

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:
        """Best first, by the names that backings have. Whoever reads asks: quick, nothing is changed, nothing asked of others.

        A reason counts what was offered, and does not name it: not everybody who may read may see all of it.
        """


def best(backings: Sequence[Backing]) -> Backing:
    """The first that is usable. FaultError names each way, and why it is not."""
    for backing in backings:
        if backing.usable:
            return backing
    raise FaultError("; ".join(f"{backing.name}: {backing.why}" for backing in backings))
