"""The endpoints of a running Diagnostics, inside its nursery."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import Protocol

import trio

from meshkit_fastprobe.model import ServerSettings
from meshkit_fastprobe.server.app import build_app
from meshkit_fastprobe.server.auth import LOOPBACK_HOSTS, rotate_token
from meshkit_fastprobe.server.connections import ConnectionLoop
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.listen import TcpAddress, listening, parse_listen

log = logging.getLogger("meshkit_fastprobe.server")


class ServedHost(Host, Protocol):
    local_token: str | None
    """Set while the endpoints are served: what the token file holds, or all there is when there is no state_dir."""


async def serve(
    diag: ServedHost, settings: ServerSettings, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; started with the address, in the setting's form. ConfigError when it cannot be listened on."""
    address = parse_listen(settings.listen)
    with listening(address) as (sock, bound):
        state_dir = diag.settings.state_dir
        # After the bind: a second process on the same address must not take the first one's token away.
        token = secrets.token_urlsafe(32) if state_dir is None else rotate_token(Path(state_dir))
        hosts = LOOPBACK_HOSTS | {str(bound).rpartition(":")[0]} if isinstance(bound, TcpAddress) else None
        app = build_app(diag, token, prefix=settings.prefix, hosts=hosts, per_probe_metrics=settings.per_probe_metrics)
        diag.local_token = token
        try:
            log.info("listening on %s", bound)
            task_status.started(str(bound))
            await ConnectionLoop(app).run(sock)
        finally:
            diag.local_token = None
