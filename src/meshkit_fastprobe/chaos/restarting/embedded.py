"""Restarts by the embedding program: of a child that it registered, or by a function of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import cast

import msgspec

from meshkit_fastprobe.chaos.children import ChildError, ManagedChild
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultError, FaultHost, Way
from meshkit_fastprobe.chaos.restarting.base import Restarter
from meshkit_fastprobe.chaos.threads import in_thread


def _service(host: FaultHost, key: str) -> object | None:
    try:
        return host.service(key)
    except KeyError:
        return None


def _offered(host: FaultHost, name: str) -> Way:
    offered = sum(1 for key in tuple(host.offered) if key.startswith(f"{name}:"))
    return Way(name, available=offered > 0, reason=f"registered: {offered}" if offered else f"no {name}:NAME is registered")


class ChildRestarter(msgspec.Struct, frozen=True):
    """A ManagedChild that the embedder registered as `child:NAME`."""

    name: str

    @property
    def manual(self) -> str:
        return f"restart the program that has the child {self.name}"

    @staticmethod
    def way(host: FaultHost) -> Way:
        return _offered(host, "child")

    async def usable(self, host: FaultHost) -> Backing:
        found = _service(host, f"child:{self.name}")
        return Backing("child", usable=found is not None, why=f"child:{self.name} is {'' if found else 'not '}registered")

    def _child(self, host: FaultHost) -> ManagedChild:
        child = _service(host, f"child:{self.name}")
        if not isinstance(child, ManagedChild):
            raise FaultError(f"the embedder has no child:{self.name}")
        return child

    async def identify(self, host: FaultHost) -> dict[str, str]:
        identity = self._child(host).identity
        if identity is None:
            raise FaultError(f"child:{self.name} does not run")
        return {"pid": str(identity.pid), "started": str(identity.started)}

    async def restart(self, host: FaultHost, was: dict[str, str], grace_s: float) -> None:
        child = self._child(host)
        if await self.identify(host) != was:
            raise FaultError(f"child:{self.name} is another process than was planned; plan again")
        try:
            await child.restart(grace_s)
        except ChildError as error:
            raise FaultError(str(error)) from error

    async def seen(self, host: FaultHost, was: dict[str, str]) -> Effect:
        identity = self._child(host).identity
        new = identity is not None and str(identity.pid) + str(identity.started) != was.get("pid", "") + was.get("started", "")
        told = "it does not run" if identity is None else f"process {identity.pid} runs"
        return Effect(in_force=new, touched=None, told=f"child:{self.name}: {told}")


class CallableRestarter(msgspec.Struct, frozen=True):
    """A function of the embedder, registered as `callable:NAME`: async, or plain and then called in a thread."""

    name: str

    @property
    def manual(self) -> str:
        return f"whatever callable:{self.name} does"

    @staticmethod
    def way(host: FaultHost) -> Way:
        return _offered(host, "callable")

    async def usable(self, host: FaultHost) -> Backing:
        found = callable(_service(host, f"callable:{self.name}"))
        return Backing("callable", usable=found, why=f"callable:{self.name} is {'' if found else 'not '}registered")

    async def identify(self, host: FaultHost) -> dict[str, str]:  # noqa: ARG002 - a function has no identity to lose
        return {"callable": self.name}

    async def restart(self, host: FaultHost, was: dict[str, str], grace_s: float) -> None:  # noqa: ARG002 - its own affair
        call = _service(host, f"callable:{self.name}")
        if not callable(call):
            raise FaultError(f"the embedder has no callable:{self.name}")
        plain = cast("Callable[[], object]", call)
        try:
            returned = plain() if inspect.iscoroutinefunction(call) else await in_thread(plain)
            if inspect.isawaitable(returned):
                await returned
        except Exception as error:
            raise FaultError(f"callable:{self.name} raised {type(error).__name__}: {error}") from error

    async def seen(self, host: FaultHost, was: dict[str, str]) -> Effect:  # noqa: ARG002 - nothing to look at
        return Effect(in_force=True, touched=None, told=f"callable:{self.name} returned; what it restarted, probes tell")


_child: type[Restarter] = ChildRestarter
_callable: type[Restarter] = CallableRestarter
