"""/fleet/hosts: this host, and those that its settings name, each as it tells itself to whoever asks."""

from __future__ import annotations

from functools import partial

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.server.chaos_items import resource_of_run
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, Envelope, envelope_reply, rfc3339
from meshkit_fastprobe.server.peers import HostItem
from meshkit_fastprobe.server.query import TRUTH, word_of
from meshkit_fastprobe.server.reply import Reply


async def list_hosts(context: Context, request: Request) -> Reply:
    """Ours first. A peer that cannot be asked is an item with a problem, never an error."""
    wanted = request.query.one("ask", word_of("ask", TRUTH), default=True)
    snapshot = context.host.snapshot()
    visible = await context.authorization.visible(request.principal, snapshot)
    groups = snapshot.groups(by=("cluster",), visible=visible)
    states: dict[str, int] = {}
    for group in groups:
        for state, number in group.states.items():
            states[state] = states.get(state, 0) + number
    may = partial(context.authorization.may, request.principal, Permission.CHAOS_READ)
    chaos = context.host.chaos
    runs = () if chaos is None else chaos.live
    # A host whose journal cannot be read does not know what an earlier process has left in force.
    counts = (chaos is None or chaos.broken is None) and context.authorization.may_anywhere(
        request.principal, Permission.CHAOS_READ
    )
    here = HostItem(
        name=snapshot.host,
        here=True,
        probes=sum(group.probes for group in groups),
        states=states,
        stale=sum(group.stale for group in groups),
        chaos=[run.experiment for run in runs if may(resource_of_run(context.host, run))],
        # All of them, as the refusals of guardrails tell: who is asked on behalf of an activation must not count too few.
        in_force=len(runs) if counts else None,
    )
    if context.peers is None:
        peers = []
    elif wanted:
        peers = await context.peers.ask(request.scope, context.host.endpoints.local_token)
    else:
        peers = context.peers.unasked()
    return envelope_reply(
        request,
        Envelope(
            schema_version=SCHEMA_VERSION,
            generated_at=rfc3339(snapshot.taken_at),
            host=snapshot.host,
            items=[here, *peers],
        ),
    )
