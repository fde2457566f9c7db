"""A restart: of a child, a process, a unit, a pod, or by a function of the embedder. Done once done; nothing to undo.

Whether the service came back is for probes to say; `verify` says whether another process, unit run or pod is there.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

import msgspec

from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultError, FaultHost, FaultPlan, HasWays, Way
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.processes import MAX_PID
from meshkit_fastprobe.chaos.restart_budget import budget_of
from meshkit_fastprobe.chaos.restarting import kubernetes
from meshkit_fastprobe.chaos.restarting.base import Restarter
from meshkit_fastprobe.chaos.restarting.embedded import CallableRestarter, ChildRestarter
from meshkit_fastprobe.chaos.restarting.process import ProcessRestarter
from meshkit_fastprobe.chaos.restarting.systemd import SystemdRestarter
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.config.durations import parse_duration
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MAX_GRACE_S: Final = 8.0
"""A fault has ten seconds to be applied; units and pods have a grace of their own, and are not waited for."""
HOW: Final = "write child:NAME, callable:NAME, pid:NUMBER, pidfile:/PATH, systemd:UNIT or kubernetes:NAMESPACE/POD"

_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_number = re.compile(r"[1-9][0-9]{0,6}")
_path = re.compile(r"/[^\0-\x1f\x7f]{1,1023}")
_unit = re.compile(r"[A-Za-z0-9:_\\@][A-Za-z0-9:_.\\@-]{0,200}\.(service|socket|target|timer|path|slice|scope|mount)")
_pod = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)/([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)")
_api = re.compile(r"https://[A-Za-z0-9.:\[\]_-]{1,253}")


@fault()
class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """Restart the target. grace: how long a child or process may take to end by itself before it is made to.

    ourselves: the process that runs this experiment, or one that runs it, is meant. api, token_file, ca_file: of Kubernetes;
    what is mounted in a pod by default.
    """

    kind: ClassVar[str] = "restart"
    lasts: ClassVar[bool] = False
    target: str
    grace: float | str = "5s"
    ourselves: bool = False
    api: str = kubernetes.API
    token_file: str = f"{kubernetes.MOUNTED}/token"
    ca_file: str = f"{kubernetes.MOUNTED}/ca.crt"

    def __post_init__(self) -> None:
        if not 0 <= self.grace_s <= MAX_GRACE_S:
            raise ConfigError("Restart.grace", f"{shown(self.grace)} is more than {MAX_GRACE_S:g} s", "choose less")
        if not _api.fullmatch(self.api):
            raise ConfigError("Restart.api", f"{shown(self.api)} is no https:// address", f"write {kubernetes.API}")
        for key in ("token_file", "ca_file"):
            if not _path.fullmatch(getattr(self, key)):
                raise ConfigError(f"Restart.{key}", f"{shown(getattr(self, key))} is no absolute path", "write it from / on")
        self._restarter()

    @property
    def grace_s(self) -> float:
        return parse_duration("Restart.grace", self.grace)

    def _restarter(self) -> Restarter:
        """ConfigError: there is no such way."""
        way, _, name = self.target.partition(":")
        match way:
            case "child" if _name.fullmatch(name):
                return ChildRestarter(name)
            case "callable" if _name.fullmatch(name):
                return CallableRestarter(name)
            case "pid" if _number.fullmatch(name) and int(name) <= MAX_PID:
                return ProcessRestarter(int(name), "", self.ourselves)
            case "pidfile" if _path.fullmatch(name):
                return ProcessRestarter(0, name, self.ourselves)
            case "systemd" if _unit.fullmatch(name):
                return SystemdRestarter(name, self.ourselves)
            case "kubernetes" if pod := _pod.fullmatch(name):
                return kubernetes.PodRestarter(pod[1], pod[3], self.api, self.token_file, self.ca_file, self.ourselves)
            case _:
                raise ConfigError("Restart.target", f"{shown(self.target)} is nothing that can be restarted", HOW)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (await self._restarter().usable(host),)

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:
        kinds = (ChildRestarter, CallableRestarter, ProcessRestarter, SystemdRestarter, kubernetes.PodRestarter)
        return await in_thread(lambda: tuple(kind.way(host) for kind in kinds))

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        restarter = self._restarter()
        (backing,) = await self.preflight(host)
        if not backing.usable:
            raise FaultError(f"{self.target} cannot be restarted: {backing.why}")
        was = await restarter.identify(host)
        if await in_thread(budget_of(host).left) == 0:
            raise FaultError("the restarts of this hour are used up on this host")
        return FaultPlan(
            kind=self.kind,
            backend=backing.name,
            mark=mark,
            targets=(self.target,),
            resources=_resources(self.target, was),
            handle=was,
            manual=restarter.manual,
        )

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        await in_thread(budget_of(host).take)
        await self._restarter().restart(host, plan.handle, self.grace_s)

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        return await self._restarter().seen(host, plan.handle)

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        """A restart cannot be taken back."""

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:  # noqa: ARG003 - it leaves nothing
        return True

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:  # noqa: ARG003 - it leaves nothing
        return ()


def _resources(target: str, was: dict[str, Any]) -> tuple[str, ...]:
    """What was named, and the process behind it by whatever name."""
    return (target, f"process:{was['pid']}") if "pid" in was else (target,)


_: type[Fault] = Restart
_ways: type[HasWays] = Restart
