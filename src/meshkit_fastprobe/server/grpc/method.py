"""What every method is: something that answers a call, and whether it changes anything."""

from __future__ import annotations

from typing import Protocol

from meshkit_fastprobe.server.context import Context
from meshkit_fastprobe.server.grpc.call import Call


class Method(Protocol):
    @property
    def reads(self) -> bool:
        """Nothing is changed by it."""

    async def answer(self, context: Context, call: Call) -> None:
        """Problem and CallError end the call with what they say."""
