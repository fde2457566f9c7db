"""Packets that are lost: by the kernel's packet filter, on sockets of the embedding program, or in a proxy for UDP."""

from __future__ import annotations

from typing import ClassVar, Final, cast

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import Backing, Effect, Fault, FaultError, FaultHost, FaultPlan, Leased
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.lots import Loss
from meshkit_fastprobe.chaos.network import table
from meshkit_fastprobe.chaos.network.packets import PacketFault
from meshkit_fastprobe.chaos.network.socket_group import SocketGroup, SocketGroupError
from meshkit_fastprobe.chaos.proxies import Direction, Shape
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MAX_BURST: Final = 10_000
MIN_RATIO: Final = 1 / table.ODDS
SOCKETS: Final = "sockets"
_TOWARDS: Final[dict[str, Direction]] = {"in": "down", "out": "up", "both": "both"}
"""Directions as a proxy has them."""


@fault()
class PacketLoss(PacketFault, frozen=True, kw_only=True):
    """Lose `ratio` of the packets from (`in`) or to (`out`) each target; `burst` of them in a row.

    sockets: instead of targets, a SocketGroup of the embedder, on whose sockets what arrives is lost. proxy: instead of
    targets, a proxy for UDP, whose datagrams are lost on their way out to the dependency, or in from it.
    """

    kind: ClassVar[str] = "packet_loss"
    backend: ClassVar[str] = "nftables"
    hurt: ClassVar[str] = "lost"
    ratio: float
    burst: int = 1
    sockets: str = ""
    proxy: str = ""

    def __post_init__(self) -> None:
        self.check_packets()
        if not MIN_RATIO <= self.ratio <= 1:  # also NaN
            raise ConfigError("PacketLoss.ratio", f"{self.ratio} is not in {MIN_RATIO:g}..1", "write 0.3 to lose 30 %")
        if not 1 <= self.burst <= MAX_BURST:
            raise ConfigError("PacketLoss.burst", f"{self.burst} is not in 1..{MAX_BURST}", "write how many are lost in a row")
        if self.proxy:
            passing.check_place("PacketLoss", "", self.proxy)
            if self.targets or self.sockets or self.protocol != "any":
                raise ConfigError("PacketLoss.proxy", "what passes a proxy is lost", "leave targets, sockets and protocol away")
        elif not self.sockets:
            self.check_targets()
        elif self.targets or self.burst != 1 or self.direction != "in" or self.protocol != "any":
            raise ConfigError(
                "PacketLoss.sockets", "a group of sockets loses what it receives, by lot", "leave the other keys but ratio away"
            )

    @property
    def loss(self) -> Loss:
        return Loss(self.ratio, self.burst)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        if self.proxy:
            return (passing.preflight(host, self.proxy, only="udp"),)
        if not self.sockets:
            return (await self.rehearsed(table.lose(self.loss)),)
        group = _group(host, self.sockets)
        why = (
            f"no group sockets:{self.sockets} was registered by the embedder" if group is None else f"{len(group)} open sockets"
        )
        return (Backing(SOCKETS, usable=group is not None, why=why),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        (backing,) = await self.preflight(host)
        if not backing.usable:
            raise FaultError(f"packets cannot be lost here: {backing.why}")
        if self.proxy:
            return passing.planned(host, self.kind, self.proxy, mark, only="udp")
        if not self.sockets:
            return self.table_plan(host, mark)
        named = (f"sockets:{self.sockets}",)
        return FaultPlan(
            kind=self.kind,
            backend=SOCKETS,
            mark=mark,
            targets=named,
            resources=named,
            handle={"group": self.sockets},
            manual="end this process",
            local=True,
        )

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend == passing.BACKEND:
            await passing.put(host, plan, Shape(loss=self.loss, direction=_TOWARDS[self.direction]))
            return
        if plan.backend != SOCKETS:
            await self.put(plan, table.lose(self.loss))
            return
        try:
            _registered(host, plan).arm(self.ratio, plan.mark)
        except SocketGroupError as error:
            raise FaultError(str(error)) from error

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        if plan.backend == passing.BACKEND:
            return passing.effect(host, plan)
        if plan.backend != SOCKETS:
            return await PacketFault.verify(self, host, plan)
        group = _registered(host, plan)
        lost = group.dropped()
        return Effect(
            in_force=group.armed == plan.mark and len(group) > 0,
            touched=lost,
            told=f"{len(group)} sockets, {lost} packets lost",
        )

    async def renew(self, host: FaultHost, plan: FaultPlan) -> None:
        if not plan.local:  # what is local lives and dies with this process
            await PacketFault.renew(self, host, plan)

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend == passing.BACKEND:
            await passing.take_off(host, plan)
            return
        if plan.backend != SOCKETS:
            await super().revert(host, plan)
            return
        group = _group(host, plan.handle.get("group", ""))
        if group is not None:
            group.disarm(plan.mark)

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        if plan.backend == passing.BACKEND:
            return passing.is_gone(host, plan)
        if plan.backend != SOCKETS:
            return await super().is_gone(host, plan)
        group = _group(host, plan.handle.get("group", ""))
        return group is None or group.armed != plan.mark

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:
        return (*passing.shaped(host, cls.kind), *await super().scan(host))

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
