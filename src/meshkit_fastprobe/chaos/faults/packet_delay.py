"""Packets that arrive late: the kernel queues them, and a process of ours lets each go when its delay is over; or a proxy does.

The rule lets packets pass while nobody reads the queue, its table is owned by a socket of this process, and it acts only while
its lease runs: whoever of the two dies or hangs, traffic flows again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from meshkit_fastprobe.chaos import passing
from meshkit_fastprobe.chaos.faults.base import Backing, Fault, FaultError, FaultHost, FaultPlan, HasWays, Leased, Way, best
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.helpers import Helper
from meshkit_fastprobe.chaos.lots import Delay
from meshkit_fastprobe.chaos.network import netem, nft
from meshkit_fastprobe.chaos.network.packets import TOWARDS, PacketFault
from meshkit_fastprobe.chaos.proxies import Shape
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.config.durations import parse_duration
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

MAX_DELAY_S: Final = 10.0
MIN_DELAY_S: Final = 0.0001
FIRST_QUEUE, LAST_QUEUE = 0x8000, 0xFFFE
"""Numbers that programs which number their queues from 0 do not come to."""
TRIES: Final = 4
PROGRAM: Final = Path(nft.__file__).with_name("delay_process.py")


@fault()
class PacketDelay(PacketFault, frozen=True, kw_only=True):
    """Hold packets from (`in`) or to (`out`) each target back by delay, give or take jitter; they keep their order.

    proxy: one in front of a target, whose bytes or datagrams are held back where the kernel cannot be asked.
    """

    kind: ClassVar[str] = "packet_delay"
    backend: ClassVar[str] = "nfqueue"
    hurt: ClassVar[str] = "delayed"
    delay: float | str
    jitter: float | str = 0.0

    def __post_init__(self) -> None:
        self.check_packets()
        if not MIN_DELAY_S <= self.delay_s <= MAX_DELAY_S:
            raise ConfigError("PacketDelay.delay", f"{shown(self.delay)} is not in 100us..{MAX_DELAY_S:g}s", "choose between")
        if self.jitter_s > self.delay_s:
            raise ConfigError("PacketDelay.jitter", f"{shown(self.jitter)} is more than the delay", "no packet comes early")
        self.check_targets()
        if self.proxy:
            passing.check_place("PacketDelay", "", self.proxy)
            if self.protocol == "icmp":
                raise ConfigError("PacketDelay.proxy", "no ICMP passes a proxy", "leave proxy, or protocol, away")

    @property
    def delay_s(self) -> float:
        return parse_duration("PacketDelay.delay", self.delay)

    @property
    def jitter_s(self) -> float:
        return parse_duration("PacketDelay.jitter", self.jitter)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:
        only = "" if self.protocol == "any" else self.protocol
        through_proxy = self.through_proxy(host, only)
        return ((await self._rehearsed())[0], through_proxy, await in_thread(netem.backing))

    @classmethod
    async def ways(cls, host: FaultHost) -> tuple[Way, ...]:
        queue, _ = await cls._rehearsed()
        in_kernel = Way(queue.name, available=queue.usable, reason=queue.why)
        return (in_kernel, passing.way(host), await in_thread(netem.way))

    @classmethod
    async def _rehearsed(cls) -> tuple[Backing, bool]:
        """Whether it can be, and whether by nft's own word; some kernels have only the one of iptables."""
        for native in (True, False):
            backing = await cls.rehearsed(nft.queued(FIRST_QUEUE, native=native))
            if backing.usable:
                return backing, native
        return backing, False

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        if best(await self.preflight(host)).name == self.backend:
            return self.table_plan(host, mark)
        self.refuse_targets(host)
        return passing.planned(host, self.kind, self.proxy, mark, among=self.endpoints())

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:
        if plan.backend == passing.BACKEND:
            delay = Delay(self.delay_s, self.jitter_s)
            await passing.put(host, plan, Shape(delay=delay, direction=TOWARDS[self.direction]))
            return
        backing, native = await self._rehearsed()
        if not backing.usable:
            raise FaultError(f"packets cannot be delayed here: {backing.why}")
        helper, queue = await in_thread(self._reader)
        try:
            await self.put(plan, self._action(queue, native), helper)
        except BaseException:
            helper.hang_up()
            raise

    @staticmethod
    def _action(queue: int, native: bool) -> Sequence[bytes]:
        return nft.queued(queue, native=native)

    def _reader(self) -> tuple[Helper, int]:
        """A process that reads a queue which nobody else does. FaultError: there is none."""
        for _ in range(TRIES):
            queue = random.randint(FIRST_QUEUE, LAST_QUEUE)  # noqa: S311 - no secret, and taken ones are refused
            helper = Helper(PROGRAM, queue, round(self.delay_s * 1e6), round(self.jitter_s * 1e6))
            try:
                helper.ask(b"?")
            except FaultError:
                helper.hang_up()
                continue
            return helper, queue
        raise FaultError("the kernel gives us no queue: modprobe nfnetlink_queue, or CONFIG_NETFILTER_NETLINK_QUEUE")


_: type[Fault] = PacketDelay
_leased: type[Leased] = PacketDelay
_ways: type[HasWays] = PacketDelay
