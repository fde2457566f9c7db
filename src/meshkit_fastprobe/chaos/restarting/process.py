"""A process of this host, by number or by the file that holds its number; who starts it again is another's affair."""

from __future__ import annotations

from typing import Final

import msgspec

from meshkit_fastprobe.chaos import processes
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultError, FaultHost, Way
from meshkit_fastprobe.chaos.processes import MAX_PID, Identity
from meshkit_fastprobe.chaos.restarting.base import Restarter
from meshkit_fastprobe.chaos.small_files import read_small_file

MAX_PIDFILE_BYTES: Final = 64


def way_by_signals(name: str) -> Way:
    """Whether processes can be signalled here without hitting a successor, by this name."""
    try:
        processes.must_be_supported()
    except ProcessLookupError as error:
        return Way(name, available=False, reason=str(error.strerror))
    return Way(name, available=True, reason="each process has a descriptor here")


def refuse_ourselves(pid: int, what: str, *, allowed: bool) -> None:
    """FaultError when the end of this process would, or may, be our own."""
    if not allowed and pid in processes.ourselves_and_ancestors():
        raise FaultError(f"{what} runs this experiment, or what runs it; only a restart may mean that: ourselves = true")


def identity_of(was: dict[str, str]) -> Identity:
    """From a plan that may have come from a disk. FaultError: it makes no sense."""
    pid, started = was.get("pid", ""), was.get("started", "")
    if not all(number.isascii() and number.isdecimal() and len(number) <= 20 for number in (pid, started)):
        raise FaultError("the plan names no process")
    if not 0 < int(pid) <= MAX_PID:
        raise FaultError("the plan names no process")
    return Identity(int(pid), int(started))


class ProcessRestarter(msgspec.Struct, frozen=True):
    """pidfile: where its number is written, empty when `pid` is it."""

    pid: int
    pidfile: str
    ourselves: bool

    @property
    def _named(self) -> str:
        return f"pidfile:{self.pidfile}" if self.pidfile else f"pid:{self.pid}"

    @property
    def manual(self) -> str:
        return f"start again what ran as {self._named}"

    @staticmethod
    def way(host: FaultHost) -> Way:  # noqa: ARG004 - the kernel is asked
        return way_by_signals("process")

    async def usable(self, host: FaultHost) -> Backing:  # noqa: ARG002 - the kernel is asked
        try:
            processes.must_be_supported()
            identity = self._identity()
            processes.send(identity, processes.NO_SIGNAL)
            refuse_ourselves(identity.pid, self._named, allowed=self.ourselves)
        except (FaultError, OSError) as error:
            why = f"process of {self._named} is not ours to signal" if isinstance(error, PermissionError) else str(error)
            return Backing("process", usable=False, why=why)
        return Backing("process", usable=True, why=f"{self._named} is process {identity.pid}")

    def _identity(self) -> Identity:
        pid = self.pid if not self.pidfile else read_pidfile(self.pidfile)
        identity = processes.identify(pid)
        if identity is None:
            raise FaultError(f"{self._named}: there is no process {pid}")
        return identity

    async def identify(self, host: FaultHost) -> dict[str, str]:  # noqa: ARG002 - the kernel is asked
        identity = self._identity()
        refuse_ourselves(identity.pid, self._named, allowed=self.ourselves)
        return {"pid": str(identity.pid), "started": str(identity.started), "name": processes.name_of(identity.pid)}

    async def restart(self, host: FaultHost, was: dict[str, str], grace_s: float) -> None:  # noqa: ARG002 - the kernel is asked
        identity = identity_of(was)
        if processes.identify(identity.pid) != identity:
            raise FaultError(f"{self._named}: process {identity.pid} is not the one that was planned; plan again")
        refuse_ourselves(identity.pid, self._named, allowed=self.ourselves)
        try:
            await processes.end(identity, grace_s)
        except PermissionError:
            raise FaultError(f"{self._named}: process {identity.pid} is not ours to signal") from None

    async def seen(self, host: FaultHost, was: dict[str, str]) -> Effect:  # noqa: ARG002 - the kernel is asked
        old = identity_of(was)
        if processes.identify(old.pid) == old:
            return Effect(in_force=False, touched=None, told=f"process {old.pid} still runs")
        if not self.pidfile:
            return Effect(in_force=True, touched=None, told=f"process {old.pid} has ended; what came after it, probes tell")
        try:
            new = self._identity()
        except FaultError as error:
            return Effect(in_force=False, touched=None, told=str(error))
        return Effect(in_force=new != old, touched=None, told=f"process {new.pid} runs")


def read_pidfile(path: str) -> int:
    """FaultError: it cannot be read, or holds anything but a number."""
    try:
        text = read_small_file(path, MAX_PIDFILE_BYTES).strip()
    except OSError as error:
        raise FaultError(f"pidfile:{path} cannot be read: {error.strerror}") from None
    if not text.isdigit() or not 0 < int(text) <= MAX_PID:
        raise FaultError(f"pidfile:{path} holds no process number")
    return int(text)


_: type[Restarter] = ProcessRestarter
