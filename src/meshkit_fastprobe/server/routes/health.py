"""/livez: the process answers. /readyz: probes are being run. Open to everybody, so they say nothing else."""

from __future__ import annotations

from typing import Final

from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.problems import NOT_READY, Problem
from meshkit_fastprobe.server.reply import Reply

_TEXT: Final = "text/plain; charset=utf-8"


async def livez(_context: Context, _request: Request) -> Reply:
    return Reply(200, _TEXT, b"ok\n")


async def readyz(context: Context, _request: Request) -> Reply:
    if not context.host.ready:
        raise Problem(
            NOT_READY,
            "the engine is not running",
            "wait a moment after the start; later, look at the log",
            headers={"retry-after": "1"},
        )
    return Reply(200, _TEXT, b"ready\n")
