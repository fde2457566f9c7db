"""Packets that arrive late: the kernel queues them, and a process of ours lets each go when its delay is over.

The rule lets packets pass while nobody reads the queue, its table is owned by a socket of this process, and it acts only while
its lease runs: whoever of the two dies or hangs, traffic flows again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from meshkit_fastprobe.chaos.faults.base import Backing, Fault, FaultError, FaultHost, FaultPlan, Leased
from meshkit_fastprobe.chaos.faults.registry import fault
from meshkit_fastprobe.chaos.helpers import Helper
from meshkit_fastprobe.chaos.network import nft
from meshkit_fastprobe.chaos.network.packets import PacketFault
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
    """Hold packets from (`in`) or to (`out`) each target back by delay, give or take jitter; they keep their order."""

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

    @property
    def delay_s(self) -> float:
        return parse_duration("PacketDelay.delay", self.delay)

    @property
    def jitter_s(self) -> float:
        return parse_duration("PacketDelay.jitter", self.jitter)

    async def preflight(self, host: FaultHost) -> tuple[Backing, ...]:  # noqa: ARG002 - the kernel is asked
        return ((await self._rehearsed())[0],)

    async def _rehearsed(self) -> tuple[Backing, bool]:
        """Whether it can be, and whether by nft's own word; some kernels have only the one of iptables."""
        for native in (True, False):
            backing = await self.rehearsed(nft.queued(FIRST_QUEUE, native=native))
            if backing.usable:
                return backing, native
        return backing, False

    async def plan(self, host: FaultHost, mark: str) -> FaultPlan:
        (backing,) = await self.preflight(host)
        if not backing.usable:
            raise FaultError(f"packets cannot be delayed here: {backing.why}")
        return self.table_plan(host, mark)

    async def apply(self, host: FaultHost, plan: FaultPlan) -> None:  # noqa: ARG002 - the kernel is asked
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
