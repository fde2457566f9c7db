"""Packets that are lost: by the kernel's packet filter, on sockets of the embedding program, or in a proxy for UDP.

One experiment may name all three; the best that its host has is taken. They are about the same targets, for ever fewer:
for everybody, for the embedding program, for who comes through the proxy.
"""

from __future__ import annotations

from typing import ClassVar, Final, cast

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import (
    Backing,
    Effect,
    Fault,
    FaultError,
    FaultHost,
    FaultPlan,
    HasWays,
    Leased,
    Way,
    best,
)
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import Loss
from meshkit_fastprobe.chaos.network import netem, table
from meshkit_fastprobe.chaos.network.packets import TOWARDS, PacketFault
from meshkit_fastprobe.chaos.network.socket_group import SocketGroup, SocketGroupError
from meshkit_fastprobe.chaos.proxies import Shape
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MAX_BURST: Final = 10_000
MIN_RATIO: Final = 1 / table.ODDS
SOCKETS: Final = "sockets"


@fault()
class PacketLoss(PacketFault, frozen=True, kw_only=True):
    """Lose `ratio` of the packets from (`in`) or to (`out`) each target; `burst` of them in a row.

    sockets: a SocketGroup of the embedder, on whose sockets what arrives is lost. proxy: one for UDP, whose datagrams are lost
    on their way out to the dependency, or in from it. Of what is named, the best that this host can hurt is hurt.
    """

    kind: ClassVar[str] = "packet_loss"
    backend: ClassVar[str] = "nftables"
    hurt: ClassVar[str] = "lost"
    ratio: float
    burst: int = 1
    sockets: str = ""

    def __post_init__(self) -> None:
        self.check_packets()
        if not MIN_RATIO <= self.ratio <= 1:  # also NaN
            raise ConfigError("PacketLoss.ratio", f"{self.ratio} is not in {MIN_RATIO:g}..1", "write 0.3 to lose 30 %")
        if not 1 <= self.burst <= MAX_BURST:
            raise ConfigError("PacketLoss.burst", f"{self.burst} is not in 1..{MAX_BURST}", "write how many are lost in a row")
        if self.proxy:
            passing.check_place("PacketLoss", "", self.proxy)
            if self.protocol not in (("any", "udp") if self.targets else ("any",)):
                raise ConfigError("PacketLoss.proxy", "datagrams of UDP are lost in it", "leave protocol away")
        if self.sockets:
            narrowed = self.protocol != "any" and not self.targets
            if self.burst != 1 or self.direction != "in" or narrowed:
                raise ConfigError(
                    "PacketLoss.sockets",
                    "a group of sockets loses what it receives, by lot",
                    "leave the other keys but ratio away",
                )
        if self.targets or not (self.sockets or self.proxy):
            self.check_targets()

    @property
    def loss(self) -> Loss:
        return Loss(self.ratio, self.burst)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        return (
            await self.in_kernel(table.lose(self.loss)),
            self._on_sockets(host),
            self.through_proxy(host, only="udp"),
            await in_thread(netem.backing),
        )

    def _on_sockets(self, host: FaultHost) -> Backing:
        if not self.sockets:
            return Backing(SOCKETS, usable=False, why="the experiment names no group of sockets")
        group = _group(host, self.sockets)
        if group is None:
            return Backing(SOCKETS, usable=False, why=f"no group sockets:{self.sockets} was registered by the embedder")
        if self.targets and (strangers := group.strangers(self.endpoints(), self.protocol)):
            why = f"sockets of sockets:{self.sockets} that belong to none of the targets: {strangers}"
            return Backing(SOCKETS, usable=False, why=why)
        return Backing(SOCKETS, usable=True, why=f"{len(group)} open sockets")

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:
        groups = sum(1 for key in tuple(host.offered) if key.startswith(f"{SOCKETS}:"))
        return (
            await cls.way_in_kernel(table.lose(Loss(0.5))),
            Way(SOCKETS, available=groups > 0, reason=f"groups: {groups}" if groups else "no group of sockets is registered"),
            passing.way(host, only="udp"),
            await in_thread(netem.way),
        )

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        backing = best(await self.preflight(host))
        if backing.name == self.backend:
            return self.table_plan(host, mark)
        self.refuse_targets(host)
        if backing.name == passing.BACKEND:
            return passing.planned(host, self.kind, self.proxy, mark, only="udp", among=self.endpoints())
        named = f"sockets:{self.sockets}"
        hurt = tuple(map(str, self.endpoints()))
        return FaultPlan(
            kind=self.kind,
            backend=SOCKETS,
            mark=mark,
            targets=(named, *hurt),
            resources=(named, *(f"packets:{one}" for one in hurt)),
            handle={"group": self.sockets},
            manual="end this process",
            local=True,
        )

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend == passing.BACKEND:
            await passing.put(host, plan, Shape(loss=self.loss, direction=TOWARDS[self.direction]))
            return
        if plan.backend != SOCKETS:
            await self.put(plan, table.lose(self.loss))
            return
        try:
            _registered(host, plan).arm(self.ratio, plan.mark)
        except SocketGroupError as error:
            raise FaultError(str(error)) from error

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        if plan.backend != SOCKETS:
            return await PacketFault.verify(self, host, plan)
        group = _registered(host, plan)
        try:
            group.let_go()
        except SocketGroupError as error:
            raise FaultError(str(error)) from error
        lost = group.dropped()
        return Effect(
            in_force=group.armed == plan.mark and len(group) > 0,
            touched=lost,
            told=f"{len(group)} sockets, {lost} packets lost",
        )

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend != SOCKETS:
            await super().revert(host, plan)
            return
        group = _group(host, plan.handle.get("group", ""))
        if group is None:
            return
        try:
            group.disarm(plan.mark)
        except SocketGroupError as error:
            raise FaultError(str(error)) from error

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        if plan.backend != SOCKETS:
            return await super().is_gone(host, plan)
        group = _group(host, plan.handle.get("group", ""))
        return group is None or group.armed != plan.mark  # which it forgets only once the kernel has taken the last filter

    @classmethod
    def says_it_is_mine(cls, comment: str) -> bool:
        """Also what tells no kind: somebody has to remove it, and all tables are removed alike."""
        return not comment.startswith("packet_delay ")


def _group(host: FaultHost, name: str) -> SocketGroup | None:
    try:
        return cast("SocketGroup", host.service(f"sockets:{name}"))
    except KeyError:
        return None


def _registered(host: FaultHost, plan: FaultPlan) -> SocketGroup:
    group = _group(host, plan.handle.get("group", ""))
    if group is None:
        raise FaultError(f"the embedder has no group of sockets {shown(plan.handle.get('group', ''))} any more")
    return group


_: type[Fault] = PacketLoss
_leased: type[Leased] = PacketLoss
_ways: type[HasWays] = PacketLoss
