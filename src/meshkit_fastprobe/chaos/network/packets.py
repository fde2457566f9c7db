"""What faults on packets have in common: the keys that say which packets, and the life of the table, or proxy, that does it.

The table of an experiment is owned by a socket of this process, so that the kernel removes it when we die, and acts only while
its lease runs, so that it harms nobody when we hang.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

import msgspec

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import LEASE_S, MARK_PATTERN, Backing, Effect, FaultError, FaultHost, FaultPlan, Way
from meshkit_fastprobe.chaos.network import table as tables
from meshkit_fastprobe.chaos.network.endpoints import Endpoint, parse_endpoints
from meshkit_fastprobe.chaos.network.netlink import KernelRefusedError
from meshkit_fastprobe.chaos.network.protection import refuse_protected
from meshkit_fastprobe.chaos.proxies import Direction
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MAX_TARGETS: Final = 64
"""A packet is compared with one after the other."""
LEASE_MS: Final = round(LEASE_S * 1000)
DIRECTIONS: Final = ("in", "out", "both")
TOWARDS: Final[dict[str, Direction]] = {"in": "down", "out": "up", "both": "both"}
"""Directions as a proxy has them."""
CANNOT_BE: Final = {errno.EPERM, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL}
"""Where this kernel or this user has no tables, there are none of ours."""

_table_name = re.compile(tables.PREFIX + MARK_PATTERN)


class PacketFault(msgspec.Struct, frozen=True, kw_only=True):
    """Which packets: from (`in`) or to (`out`) each target, an address, a network, or a port of these.

    broad: all of loopback, or everything, is meant. proxy: one in front of a target, by name: what passes it is hurt where the
    kernel cannot be asked. Kinds add what happens to the packets, and what it is called.
    """

    kind: ClassVar[str]
    lasts: ClassVar[bool] = True
    backend: ClassVar[str]
    hurt: ClassVar[str]
    """What the packets are that the table counts, as in "12 packets lost"."""
    targets: tuple[str, ...] = ()
    protocol: Literal["any", "tcp", "udp", "icmp"] = "any"
    direction: Literal["in", "out", "both"] = "in"
    broad: bool = False
    proxy: str = ""

    def check_packets(self) -> None:
        """Refuse what cannot be with ConfigError; make targets a tuple."""
        where = type(self).__name__
        if not isinstance(self.targets, tuple):
            msgspec.structs.force_setattr(self, "targets", tuple(self.targets))
        for name, known in (("protocol", tuple(tables.PROTOCOLS)), ("direction", DIRECTIONS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{where}.{name}", f"{shown(getattr(self, name))} is not known", f"use {', '.join(known)}")

    def check_targets(self) -> None:
        where = f"{type(self).__name__}.targets"
        if not 1 <= len(self.targets) <= MAX_TARGETS:
            raise ConfigError(where, f"{len(self.targets)} targets, not 1..{MAX_TARGETS}", "write networks, or two experiments")
        ported = [str(target) for target in self.endpoints() if target.port]
        if self.protocol == "icmp" and ported:
            raise ConfigError(where, f"ICMP has no port as in {ported[0]}", "write the address alone")

    def endpoints(self) -> tuple[Endpoint, ...]:
        return parse_endpoints(f"{type(self).__name__}.targets", self.targets)

    # -- the ways, best first ----------------------------------------------------------------------------------------------

    async def in_kernel(self, action: Sequence[bytes]) -> Backing:
        if not self.targets:
            return Backing(self.backend, usable=False, why="the experiment names no targets")
        return await self.rehearsed(action)

    def through_proxy(self, host: FaultHost, only: str) -> Backing:
        """only: the protocol it has to be for."""
        return passing.preflight(host, self.proxy, only=only, among=self.endpoints())

    def refuse_targets(self, host: FaultHost) -> tuple[int, ...]:
        """The ports that are spared; FaultError for what nobody may hurt, by whatever way."""
        return refuse_protected(host, self.endpoints(), broad=self.broad)

    @classmethod
    async def way_in_kernel(cls, action: Sequence[bytes]) -> Way:
        told = await cls.rehearsed(action)
        return Way(told.name, available=told.usable, reason=told.why)

    # -- the table -------------------------------------------------------------------------------------------------------

    @classmethod
    async def rehearsed(cls, action: Sequence[bytes]) -> Backing:
        """Whether the kernel would take a table that does this."""
        refused = await in_thread(lambda: _why_not(action))
        seen = "" if shutil.which("nft") else "; nft is not installed to look at it (apt-get install nftables)"
        return Backing(cls.backend, usable=refused is None, why=refused or f"the kernel took a rehearsal{seen}")

    def table_plan(self, host: FaultHost, mark: str) -> FaultPlan:
        targets = self.endpoints()
        spared = self.refuse_targets(host)
        name = _checked(tables.PREFIX + mark)
        ours = os.getpid()
        return FaultPlan(
            kind=self.kind,
            backend=self.backend,
            mark=mark,
            targets=tuple(str(target) for target in targets),
            resources=tuple(f"packets:{target}" for target in targets),
            handle={"table": name, "spared": " ".join(map(str, spared))},
            manual=f"nft delete table inet {name}  # while process {ours} lives, only its end does it: kill -9 {ours}",
        )

    async def put(self, plan: FaultPlan, action: Sequence[bytes], companion: tables.Companion | None = None) -> None:
        """Make the table. companion: what it needs, from now on the table's; ours to end when this raises."""
        name = table_of(plan)
        spared = tuple(int(port) for port in plan.handle.get("spared", "").split())
        scope = tables.Scope(self.endpoints(), self.protocol, self.direction, spared)
        comment = f"{self.kind} {plan.mark} of meshkit-fastprobe: harmless {LEASE_S:g} s after process {os.getpid()} stops"
        messages = tables.build(name, comment, scope, action, LEASE_MS)
        try:
            await in_thread(lambda: tables.hold(name, messages, companion))
        except OSError as error:
            if error.errno == errno.EEXIST or (error.errno == errno.EPERM and _step(error) >= 0):  # EPERM: by its owner
                raise FaultError(f"there is a table {name} already; two experiments may not share an id") from None
            raise FaultError(f"the kernel refused table {name}: {error.strerror}") from error

    async def verify(self, host: FaultHost, plan: FaultPlan) -> Effect:
        if plan.backend == passing.BACKEND:
            return passing.effect(host, plan)
        name = table_of(plan)
        try:
            leased, touched = await in_thread(lambda: tables.in_force(name))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return Effect(in_force=False, touched=None, told=f"there is no table {name}")
            raise FaultError(f"the kernel does not tell of {name}: {error.strerror}") from error
        told = f"{touched} packets {self.hurt}" + ("" if leased else "; the lease has run out")
        return Effect(in_force=leased, touched=touched, told=told)

    async def renew(self, host: FaultHost, plan: FaultPlan) -> None:  # noqa: ARG002 - the kernel is asked
        if plan.local:  # it lives and dies with this process
            return
        name = table_of(plan)
        try:
            await in_thread(lambda: tables.renew(name, self.protocol, LEASE_MS))
        except KeyError:
            raise FaultError(f"{name} is not held by this process any more") from None
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise FaultError(f"the lease of {name} has run out") from None
            raise FaultError(f"the lease of {name} is not renewed: {error.strerror}") from error

    @classmethod
    async def revert(cls, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend == passing.BACKEND:
            await passing.take_off(host, plan)
            return
        name = table_of(plan)
        try:
            await in_thread(lambda: tables.release(name))
        except OSError as error:
            raise FaultError(f"{name} could not be removed: {_why_kept(error, plan)}") from error

    @classmethod
    async def is_gone(cls, host: FaultHost, plan: FaultPlan) -> bool:
        if plan.backend == passing.BACKEND:
            return passing.is_gone(host, plan)
        name = table_of(plan)
        try:
            return name not in await in_thread(tables.tables)
        except OSError as error:
            raise FaultError(f"the kernel does not tell whether {name} is there: {error.strerror}") from error

    @classmethod
    async def scan(cls, host: FaultHost) -> tuple[FaultPlan, ...]:
        return (*passing.shaped(host, cls.kind), *await cls._tables())

    @classmethod
    async def _tables(cls) -> tuple[FaultPlan, ...]:
        try:
            found = await in_thread(tables.tables)
        except OSError as error:
            if error.errno in CANNOT_BE:
                return ()
            raise FaultError(f"the kernel does not tell of its tables: {error.strerror}") from error
        return tuple(
            cls._found(name, table.owner)
            for name, table in sorted(found.items())
            if _table_name.fullmatch(name) and cls.says_it_is_mine(table.comment)
        )

    @classmethod
    def says_it_is_mine(cls, comment: str) -> bool:
        return comment.startswith(f"{cls.kind} ")

    @classmethod
    def _found(cls, name: str, owner: int | None) -> FaultPlan:
        """A table that is there, as what would undo it."""
        return FaultPlan(
            kind=cls.kind,
            backend=cls.backend,
            mark=name.removeprefix(tables.PREFIX),
            targets=(),
            resources=(),
            handle={"table": name} if owner is None else {"table": name, "owner": f"netlink port {owner}"},
            manual=f"nft delete table inet {name}"
            + ("" if owner is None else f"  # refused while its owner, port {owner}, lives"),
        )


def _checked(name: str) -> str:
    if not _table_name.fullmatch(name):
        raise FaultError(f"{shown(name)} is no name of a table of ours")
    return name


def table_of(plan: FaultPlan) -> str:
    """FaultError: the plan, which may have come from a disk, names none of ours."""
    return _checked(plan.handle.get("table", ""))


def _why_not(action: Sequence[bytes]) -> str | None:
    """What keeps nftables from doing this here, and what would help; None: nothing does."""
    try:
        tables.rehearse(action)
    except OSError as error:
        return _reason(error, _step(error))
    return None


def _step(error: OSError) -> int:
    """Which message of a batch the kernel refused; -1: none of them, but us."""
    return error.at if isinstance(error, KernelRefusedError) else -1


def _why_kept(error: OSError, plan: FaultPlan) -> str:
    if error.errno == errno.EPERM and _step(error) >= 0:
        return f"its owner ({plan.handle.get('owner', 'another process')}) lives, and it alone can; ending it does"
    return _reason(error, -1) if error.errno in CANNOT_BE else str(error.strerror)


def _reason(error: OSError, at: int) -> str:
    if error.errno == errno.EPERM:
        how = "run as root, or with AmbientCapabilities=CAP_NET_ADMIN or --cap-add NET_ADMIN"
        return f"it takes CAP_NET_ADMIN in this network namespace: {how}"
    if at == tables.REHEARSED_TABLE:
        return "the kernel has no tables with an owner: it takes Linux 5.12"
    if at == tables.REHEARSED_RULE:
        return f"the kernel lacks an expression ({error.strerror}): modprobe nft_numgen nft_queue nft_compat xt_NFQUEUE"
    return f"the kernel has no nf_tables ({error.strerror}): modprobe nf_tables, or CONFIG_NF_TABLES_INET"
