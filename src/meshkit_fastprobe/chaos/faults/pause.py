"""A process that stands still: SIGSTOP, and a watchdog that continues it when we die or hang."""

from __future__ import annotations

import re
import signal
from typing import ClassVar, Final

import msgspec
import trio

from meshkit_fastprobe.chaos import processes
from meshkit_fastprobe.chaos.children import ManagedChild
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultError, FaultHost, FaultPlan, HasWays, Leased, Way
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.processes import MAX_PID, Identity
from meshkit_fastprobe.chaos.restarting.process import identity_of, read_pidfile, refuse_ourselves, way_by_signals
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.chaos.watchdog import watchdog
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

STOPPED: Final = frozenset("Tt")  # by a signal, by a debugger
STOP_S: Final = 2.0
"""One that waits for a disk stops when the disk has answered."""
HOW: Final = "write pid:NUMBER, pidfile:/PATH or child:NAME"

_target = re.compile(r"pid:[1-9][0-9]{0,6}|pidfile:/[^\0-\x1f\x7f]{1,1023}|child:[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@fault()
class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Stop the process `target`, not its children: its connections stay open, and nobody answers."""

    kind: ClassVar[str] = "pause"
    lasts: ClassVar[bool] = True
    target: str

    def __post_init__(self) -> None:
        way, _, name = self.target.partition(":")
        if not _target.fullmatch(self.target) or (way == "pid" and int(name) > MAX_PID):
            raise ConfigError("Pause.target", f"{shown(self.target)} is nothing that can be paused", HOW)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        try:
            processes.must_be_supported()
            identity = self._found(host)
            processes.send(identity, processes.NO_SIGNAL)
        except PermissionError:
            why = "the process is another user's: run as that user, as root, or with CAP_KILL"
            return (Backing("sigstop", usable=False, why=why),)
        except (FaultError, OSError) as error:
            return (Backing("sigstop", usable=False, why=str(error)),)
        return (Backing("sigstop", usable=True, why=f"{self.target} is process {identity.pid}"),)

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:  # noqa: ARG003 - the kernel is asked
        return (way_by_signals("sigstop"),)

    def _found(self, host: FaultHost) -> Identity:
        """FaultError: it is not there, runs us, or stands still already, so that continuing it would not be ours to do."""
        way, _, name = self.target.partition(":")
        identity: Identity | None
        if way == "child":
            identity = _child(host, name).identity
        else:
            identity = processes.identify(int(name) if way == "pid" else read_pidfile(name))
        if identity is None:
            raise FaultError(f"{self.target}: there is no such process")
        refuse_ourselves(identity.pid, self.target, allowed=False)
        if (processes.state_of(identity) or "") in STOPPED:
            raise FaultError(f"{self.target}: process {identity.pid} stands still already, by somebody else")
        return identity

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        (backing,) = await self.preflight(host)
        if not backing.usable:
            raise FaultError(f"{self.target} cannot be paused: {backing.why}")
        identity = self._found(host)
        return FaultPlan(
            kind=self.kind,
            backend=backing.name,
            mark=mark,
            targets=(self.target,),
            resources=(self.target, f"process:{identity.pid}"),
            handle={
                "pid": str(identity.pid),
                "started": str(identity.started),
                "name": processes.name_of(identity.pid),
            },
            manual=f"kill -CONT {identity.pid}",
        )

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        identity = identity_of(plan.handle)
        if self._found(host) != identity:
            raise FaultError(f"{self.target} is another process than was planned; plan again")
        try:
            await in_thread(lambda: watchdog.guard(plan.mark, identity))
            stopped = processes.send(identity, signal.SIGSTOP)
        except ProcessLookupError:
            stopped = False
        except PermissionError:
            raise FaultError(f"{self.target}: process {identity.pid} is not ours to signal") from None
        if not stopped:
            raise FaultError(f"{self.target}: process {identity.pid} has ended")
        with trio.move_on_after(STOP_S):
            while not (await self.verify(host, plan)).in_force:  # noqa: ASYNC110 - the kernel tells nobody when it stopped
                await trio.sleep(0.002)

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:  # noqa: ARG002 - the kernel is asked
        identity = identity_of(plan.handle)
        state = processes.state_of(identity)
        if state is None:
            return Effect(in_force=False, touched=None, told=f"process {identity.pid} has ended")
        stopped = state in STOPPED
        told = f"process {identity.pid} {'stands still' if stopped else 'runs'}"
        return Effect(in_force=stopped, touched=int(stopped), told=told)

    async def renew(self, host: FaultHost, plan: FaultPlan) -> None:  # noqa: ARG002 - the watchdog is asked
        await in_thread(lambda: watchdog.renew(plan.mark))

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:  # noqa: ARG003 - the plan says all
        identity = identity_of(plan.handle)
        try:
            processes.send(identity, signal.SIGCONT)
        except PermissionError:
            raise FaultError(f"process {identity.pid} is not ours to signal; {plan.manual}") from None
        await in_thread(lambda: watchdog.forget(plan.mark))

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:  # noqa: ARG003 - the kernel is asked
        return (processes.state_of(identity_of(plan.handle)) or "") not in STOPPED

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:  # noqa: ARG003 - a stopped process carries no mark
        """None: the journal knows whom we stopped, and the watchdog has continued them."""
        return ()


def _child(host: FaultHost, name: str) -> ManagedChild:
    try:
        child = host.service(f"child:{name}")
    except KeyError:
        child = None
    if not isinstance(child, ManagedChild):
        raise FaultError(f"the embedder has no child:{name}")
    return child


_: type[Fault] = Pause
_leased: type[Leased] = Pause
_ways: type[HasWays] = Pause
