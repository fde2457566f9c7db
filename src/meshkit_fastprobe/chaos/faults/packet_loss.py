"""Packets that are lost: by the kernel's packet filter, or on sockets of the embedding program.

The table of an experiment is owned by a socket of this process, so that the kernel removes it when we die, and acts only while
its lease runs, so that it harms nobody when we hang.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from typing import ClassVar, Final, Literal, cast

import msgspec

from meshkit_fastprobe.chaos.faults.base import (
    LEASE_S,
    MARK_PATTERN,
    Backing,
    Effect,
    Fault,
    FaultError,
    FaultHost,
    FaultPlan,
    Leased,
)
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.network import loss_table
from meshkit_fastprobe.chaos.network.endpoints import Endpoint, parse_endpoints
from meshkit_fastprobe.chaos.network.netlink import KernelRefusedError
from meshkit_fastprobe.chaos.network.protection import refuse_protected
from meshkit_fastprobe.chaos.network.socket_group import SocketGroup, SocketGroupError
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MAX_TARGETS: Final = 64
"""A packet is compared with one after the other."""
MAX_BURST: Final = 10_000
MIN_RATIO: Final = 1 / loss_table.ODDS
LEASE_MS: Final = round(LEASE_S * 1000)
CANNOT_BE: Final = {errno.EPERM, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL}
"""Where this kernel or this user has no tables, there are none of ours."""

_table_name = re.compile(loss_table.PREFIX + MARK_PATTERN)


@fault()
class PacketLoss(msgspec.Struct, frozen=True, kw_only=True):
    """Lose `ratio` of the packets from (`in`) or to (`out`) each target; `burst` of them in a row.

    targets: addresses, networks, ports of these. sockets: instead of targets, a SocketGroup of the embedder, on whose sockets
    what arrives is lost. broad: all of loopback, or everything, is meant.
    """

    kind: ClassVar[str] = "packet_loss"
    lasts: ClassVar[bool] = True
    ratio: float
    targets: tuple[str, ...] = ()
    protocol: Literal["any", "tcp", "udp", "icmp"] = "any"
    direction: Literal["in", "out", "both"] = "in"
    burst: int = 1
    sockets: str = ""
    broad: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.targets, tuple):
            msgspec.structs.force_setattr(self, "targets", tuple(self.targets))
        if not MIN_RATIO <= self.ratio <= 1:  # also NaN
            raise ConfigError("PacketLoss.ratio", f"{self.ratio} is not in {MIN_RATIO:g}..1", "write 0.3 to lose 30 %")
        if not 1 <= self.burst <= MAX_BURST:
            raise ConfigError("PacketLoss.burst", f"{self.burst} is not in 1..{MAX_BURST}", "write how many are lost in a row")
        for name, known in (("protocol", tuple(loss_table.PROTOCOLS)), ("direction", ("in", "out", "both"))):
            if getattr(self, name) not in known:
                raise ConfigError(f"PacketLoss.{name}", f"{shown(getattr(self, name))} is not known", f"use {', '.join(known)}")
        if self.sockets:
            self._check_sockets()
        else:
            self._check_targets()

    def _check_sockets(self) -> None:
        if self.targets or self.burst != 1 or self.direction != "in" or self.protocol != "any":
            raise ConfigError(
                "PacketLoss.sockets", "a group of sockets loses what it receives, by lot", "leave the other keys but ratio away"
            )

    def _check_targets(self) -> None:
        if not 1 <= len(self.targets) <= MAX_TARGETS:
            raise ConfigError(
                "PacketLoss.targets", f"{len(self.targets)} targets, not 1..{MAX_TARGETS}", "write networks, or two experiments"
            )
        ported = [str(target) for target in self._endpoints() if target.port]
        if self.protocol == "icmp" and ported:
            raise ConfigError("PacketLoss.targets", f"ICMP has no port as in {ported[0]}", "write the address alone")

    def _endpoints(self) -> tuple[Endpoint, ...]:
        return parse_endpoints("PacketLoss.targets", self.targets)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        if self.sockets:
            found = _group(host, self.sockets)
            why = f"{len(found)} open sockets" if found else f"no group sockets:{self.sockets} was registered by the embedder"
            return (Backing("sockets", usable=found is not None, why=why),)
        refused = await in_thread(why_not_nftables)
        seen = "" if shutil.which("nft") else "; nft is not installed to look at it (apt-get install nftables)"
        return (Backing("nftables", usable=refused is None, why=refused or f"the kernel took a rehearsal{seen}"),)

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        backing = (await self.preflight(host))[0]
        if not backing.usable:
            raise FaultError(f"packets cannot be lost here: {backing.why}")
        if self.sockets:
            return self._planned(mark, "sockets", (f"sockets:{self.sockets}",), {"group": self.sockets}, "end this process")
        targets = self._endpoints()
        spared = refuse_protected(host, targets, broad=self.broad)
        table = _checked(loss_table.PREFIX + mark)
        return self._planned(
            mark,
            "nftables",
            tuple(str(target) for target in targets),
            {"table": table, "spared": " ".join(map(str, spared))},
            f"nft delete table inet {table}  # while process {os.getpid()} lives, only its end does it: kill -9 {os.getpid()}",
        )

    def _planned(self, mark: str, backend: str, targets: tuple[str, ...], handle: dict[str, str], manual: str) -> FaultPlan:
        local = backend == "sockets"
        resources = targets if local else tuple(f"packets:{target}" for target in targets)
        return FaultPlan(
            kind=self.kind,
            backend=backend,
            mark=mark,
            targets=targets,
            resources=resources,
            handle=handle,
            manual=manual,
            local=local,
        )

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend == "sockets":
            try:
                _registered(host, plan).arm(self.ratio)
            except SocketGroupError as error:
                raise FaultError(str(error)) from error
            return
        table = _table_of(plan)
        spared = tuple(int(port) for port in plan.handle.get("spared", "").split())
        loss = loss_table.Loss(self._endpoints(), self.protocol, self.direction, self.ratio, self.burst, spared)
        comment = f"meshkit-fastprobe, experiment {plan.mark}: harmless {LEASE_S:g} s after process {os.getpid()} stops"
        messages = loss_table.build(table, comment, loss, LEASE_MS)
        try:
            await in_thread(lambda: loss_table.hold(table, messages))
        except OSError as error:
            if error.errno == errno.EEXIST or (error.errno == errno.EPERM and _step(error) >= 0):  # EPERM: by its owner
                raise FaultError(f"there is a table {table} already; two experiments may not share an id") from None
            raise FaultError(f"the kernel refused table {table}: {error.strerror}") from error

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        if plan.backend == "sockets":
            group = _registered(host, plan)
            lost = group.dropped()
            return Effect(
                in_force=group.armed and len(group) > 0, touched=lost, told=f"{len(group)} sockets, {lost} packets lost"
            )
        table = _table_of(plan)
        try:
            leased, lost = await in_thread(lambda: loss_table.in_force(table))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return Effect(in_force=False, touched=None, told=f"there is no table {table}")
            raise FaultError(f"the kernel does not tell of {table}: {error.strerror}") from error
        return Effect(
            in_force=leased, touched=lost, told=f"{lost} packets lost" + ("" if leased else "; the lease has run out")
        )

    async def renew(self, host: FaultHost, plan: FaultPlan) -> None:  # noqa: ARG002 - the kernel is asked
        if plan.backend == "sockets":
            return  # they live and die with this process
        table = _table_of(plan)
        try:
            await in_thread(lambda: loss_table.renew(table, self.protocol, LEASE_MS))
        except KeyError:
            raise FaultError(f"{table} is not held by this process any more") from None
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise FaultError(f"the lease of {table} has run out") from None
            raise FaultError(f"the lease of {table} is not renewed: {error.strerror}") from error

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend == "sockets":
            group = _group(host, plan.handle.get("group", ""))
            if group is not None:
                group.disarm()
            return
        table = _table_of(plan)
        try:
            await in_thread(lambda: loss_table.release(table))
        except OSError as error:
            raise FaultError(f"{table} could not be removed: {_why_kept(error, plan)}") from error

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        if plan.backend == "sockets":
            group = _group(host, plan.handle.get("group", ""))
            return group is None or not group.armed
        table = _table_of(plan)
        try:
            return table not in await in_thread(loss_table.tables)
        except OSError as error:
            raise FaultError(f"the kernel does not tell whether {table} is there: {error.strerror}") from error

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:  # noqa: ARG003 - the kernel is asked
        try:
            tables = await in_thread(loss_table.tables)
        except OSError as error:
            if error.errno in CANNOT_BE:
                return ()
            raise FaultError(f"the kernel does not tell of its tables: {error.strerror}") from error
        return tuple(_found(name, owner) for name, owner in sorted(tables.items()) if _table_name.fullmatch(name))


def _found(table: str, owner: int | None) -> FaultPlan:
    """A table that is there, as what would undo it."""
    handle = {"table": table} if owner is None else {"table": table, "owner": f"netlink port {owner}"}
    return FaultPlan(
        kind=PacketLoss.kind,
        backend="nftables",
        mark=table.removeprefix(loss_table.PREFIX),
        targets=(),
        resources=(),
        handle=handle,
        manual=f"nft delete table inet {table}"
        + ("" if owner is None else f"  # refused while its owner, port {owner}, lives"),
    )


def _checked(table: str) -> str:
    if not _table_name.fullmatch(table):
        raise FaultError(f"{shown(table)} is no name of a table of ours")
    return table


def _table_of(plan: FaultPlan) -> str:
    return _checked(plan.handle.get("table", ""))


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


def _why_kept(error: OSError, plan: FaultPlan) -> str:
    if error.errno == errno.EPERM and _step(error) >= 0:
        return f"its owner ({plan.handle.get('owner', 'another process')}) lives, and it alone can; ending it does"
    return _reason(error, -1) if error.errno in CANNOT_BE else str(error.strerror)


def why_not_nftables() -> str | None:
    """What keeps nftables from serving here, and what would help; None: nothing does."""
    try:
        loss_table.rehearse()
    except OSError as error:
        return _reason(error, _step(error))
    return None


def _step(error: OSError) -> int:
    """Which message of a batch the kernel refused; -1: none of them, but us."""
    return error.at if isinstance(error, KernelRefusedError) else -1


def _reason(error: OSError, at: int) -> str:
    if error.errno == errno.EPERM:
        return "it takes CAP_NET_ADMIN: run as root, or with AmbientCapabilities=CAP_NET_ADMIN or --cap-add NET_ADMIN"
    if at == loss_table.REHEARSED_TABLE:
        return "the kernel has no tables with an owner: it takes Linux 5.12"
    if at == loss_table.REHEARSED_RULE:
        return f"the kernel has no numgen or lookup ({error.strerror}): modprobe nft_numgen, or CONFIG_NFT_NUMGEN"
    return f"the kernel has no nf_tables ({error.strerror}): modprobe nf_tables, or CONFIG_NF_TABLES_INET"


_: type[Fault] = PacketLoss
_leased: type[Leased] = PacketLoss
