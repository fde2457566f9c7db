"""TCP on the task lane: what tcp.c does in the engine."""

from __future__ import annotations

from typing import ClassVar

from meshkit_fastprobe.model import Outcome, Reason
from meshkit_fastprobe.probes.base import AsyncTarget
from meshkit_fastprobe.probes.dialing import NOT_CONNECTED_IN_TIME, UNREACHABLE, Address, connect
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.probes.via import ANY_WAY, Via


class TcpTarget:
    """A connection that stands is the answer."""

    __slots__ = ("_address", "_half", "_via", "seen")
    timed_out: ClassVar[Outcome] = NOT_CONNECTED_IN_TIME

    def __init__(self, host: str, port: int, via: Via = ANY_WAY, *, half: bool = False) -> None:
        self._via = via
        self._half = half
        self.seen = Seen()
        try:
            self._address: Address | None = Address(host, port)
        except OSError:  # of an address that was checked: the interface it is scoped to is gone
            self._address = None

    async def check(self) -> Outcome | None:
        self.seen.begin()
        if self._address is None:
            return UNREACHABLE
        connected = await connect(self._address, self._via, half=self._half)
        if isinstance(connected, Outcome):
            # A reset that answers the SYN is "refused": any other came after the handshake, sooner than we looked.
            return None if connected.reason is Reason.CONNECT_RESET else connected
        self.seen.connected(connected)
        connected.close()
        return None

    def close(self) -> None:
        """Nothing is kept."""


_: type[AsyncTarget] = TcpTarget
