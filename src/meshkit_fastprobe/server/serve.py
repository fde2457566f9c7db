"""The endpoints of a running Diagnostics, inside its nursery."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

from meshkit_fastprobe.chaos.network.protection import PROTECTED, endpoints_among
from meshkit_fastprobe.config.audit import UDP
from meshkit_fastprobe.model import ServerSettings, Settings
from meshkit_fastprobe.scheduling.changes import ChangeStream
from meshkit_fastprobe.security.audit import Audit
from meshkit_fastprobe.security.boot import boot_id
from meshkit_fastprobe.security.denials import Denials
from meshkit_fastprobe.security.toggles import Toggles
from meshkit_fastprobe.security.tokens import Tokens
from meshkit_fastprobe.server.app import build_app
from meshkit_fastprobe.server.conducting import Served
from meshkit_fastprobe.server.endpoints import Endpoints
from meshkit_fastprobe.server.events import Events
from meshkit_fastprobe.server.guard import LOOPBACK_HOSTS
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.identity import Identities
from meshkit_fastprobe.server.listen import TcpAddress, UnixAddress
from meshkit_fastprobe.server.local_token import rotate_token
from meshkit_fastprobe.server.peers import Peers
from meshkit_fastprobe.server.switching import apply, declared
from meshkit_fastprobe.server.telling import tell_head, tell_transitions
from meshkit_fastprobe.server.tls import Tls
from meshkit_fastprobe.server.transports import opened

log = logging.getLogger("meshkit_fastprobe.server")


class ServedHost(Host, Protocol):
    def changes(self) -> ChangeStream: ...


async def serve(
    diag: ServedHost,
    endpoints: Endpoints,
    leaving: trio.Event,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `leaving`, and a few seconds longer for who is being answered; or until cancelled.

    Started with the address, in the setting's form. ConfigError when it cannot be listened on.
    """
    settings = diag.settings.server
    assert settings is not None
    wanted = diag.settings.security.tokens
    tokens = None if wanted is None else Tokens(wanted)
    peers = Peers(settings.peers, settings.prefix, settings.peers_ca) if settings.peers else None
    with opened(settings, endpoints.given) as transports:
        bound, tls = transports.bound, transports.tls
        # After the bind: a second process on the same address must not take the first one's token and audit away.
        events = Events()
        conductor = diag.chaos
        faults = () if conductor is None else conductor.faults
        toggles = Toggles(declared(diag.kinds, faults), diag.settings.toggles, _state_dir(diag))
        await apply(diag, toggles)
        async with _audit_of(diag, endpoints, events) as denials, trio.open_nursery() as nursery:
            if conductor is not None:
                assert endpoints.audit is not None
                conductor.bench.services[PROTECTED] = ways_to(diag.settings, bound)
                await nursery.start(conductor.run, Served(diag, endpoints.audit, toggles, events))
            token = _local_token(diag)
            app = build_app(
                diag,
                Identities(token, tokens, None if tls is None else tls.revocations),
                denials=denials,
                events=events,
                toggles=toggles,
                prefix=settings.prefix,
                hosts=_hosts(settings, bound if isinstance(bound, TcpAddress) else None, tls),
                per_probe_metrics=settings.per_probe_metrics,
                aliases=settings.aliases,
                peers=peers,
            )
            nursery.start_soon(events.run)
            nursery.start_soon(denials.run)
            nursery.start_soon(tell_transitions, diag, diag.changes(), events)
            nursery.start_soon(_close_on_leaving, events, leaving)
            endpoints.local_token = token
            log.info("listening on %s", transports.told)
            task_status.started(transports.told)
            await transports.carry(app, leaving)
            nursery.cancel_scope.cancel()


async def _close_on_leaving(events: Events, leaving: trio.Event) -> None:
    await leaving.wait()
    events.close()


def ways_to(settings: Settings, bound: TcpAddress | UnixAddress | None) -> tuple[str, ...]:
    """What no fault of the network may cut: where we are asked, where the audit is told, and what is protected by name."""
    ours = (str(bound),) if isinstance(bound, TcpAddress) else ()
    told = [text.removeprefix(UDP) for text in settings.audit.copy_to if text.startswith(UDP)]
    protected = () if settings.chaos is None else settings.chaos.protected
    return (*ours, *endpoints_among([*told, *protected]))


@asynccontextmanager
async def _audit_of(diag: Host, endpoints: Endpoints, events: Events) -> AsyncIterator[Denials]:
    state_dir = _state_dir(diag)
    directory = None if state_dir is None else state_dir / "audit"
    if directory is not None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = diag.settings
    async with Audit(
        directory,
        boot_id=boot_id(),
        on_head=lambda head: tell_head(diag, head, events),
        host=settings.host,
        settings=settings.audit,
    ) as audit:
        endpoints.audit = audit
        denials = Denials(audit.note)
        try:
            yield denials
        finally:
            denials.flush()


def _local_token(diag: Host) -> str:
    state_dir = _state_dir(diag)
    return secrets.token_urlsafe(32) if state_dir is None else rotate_token(state_dir)


def _state_dir(diag: Host) -> Path | None:
    return None if diag.settings.state_dir is None else Path(diag.settings.state_dir)


def _hosts(settings: ServerSettings, bound: TcpAddress | None, tls: Tls | None) -> frozenset[str] | None:
    if bound is None:  # a unix socket, or another app that knows its names: ours are asked for where they are given
        return LOOPBACK_HOSTS | {name.lower() for name in settings.hosts} if settings.hosts else None
    named = {name.lower() for name in settings.hosts} | (set() if tls is None else tls.names)
    return LOOPBACK_HOSTS | named | {str(bound).rpartition(":")[0]}
