"""UDP on the task lane: what udp.c does in the engine, with the same judge."""

from __future__ import annotations

from typing import ClassVar, Final

import trio

from meshkit_fastprobe._native.datagram import UdpPlan
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import AsyncTarget
from meshkit_fastprobe.probes.dialing import UNREACHABLE, Address, open_udp, refused, send_datagram
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.via import ANY_WAY, Via

MAX_DATAGRAM: Final = 65_535


class UdpTarget:
    """One datagram there, one back; the kernel drops what others than the target send."""

    __slots__ = ("_address", "_payload", "_plan", "_via", "seen")
    timed_out: ClassVar[Outcome] = Outcome(Result.TIMEOUT, Reason.RESPONSE_TIMEOUT)

    def __init__(self, host: str, port: int, payload: bytes, plan: UdpPlan, via: Via = ANY_WAY) -> None:
        self._payload = payload
        self._plan = plan
        self._via = via
        self.seen = Seen()
        try:
            self._address: Address | None = Address(host, port)
        except OSError:  # of an address that was checked: the interface it is scoped to is gone
            self._address = None

    async def check(self) -> Outcome | None:
        self.seen.begin()
        if self._address is None:
            return UNREACHABLE
        opened = open_udp(self._address, self._via)
        if isinstance(opened, Outcome):
            await trio.lowlevel.checkpoint()
            return opened
        with trio.socket.from_stdlib_socket(opened) as sock:
            self.seen.sends_from(sock)
            try:
                await send_datagram(sock, self._payload)
                reply = await sock.recv(MAX_DATAGRAM)
                self.seen.heard()
            except OSError as error:  # an ICMP message came back
                return refused(error.errno or 0, self._address)
        reason = Reason(self._plan.judge(reply))
        return Outcome(Result.OK if reason is Reason.NONE else Result.FAIL, reason, detail=len(reply))

    def close(self) -> None:
        """Nothing is kept."""


_: type[AsyncTarget] = UdpTarget
