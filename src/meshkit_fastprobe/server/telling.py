"""What becomes an event: transitions of probes, moves of experiments, and heads of the audit."""

from __future__ import annotations

import time
from typing import Final

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.chaos.run import Move, Run
from meshkit_fastprobe.model import Reason, Transition
from meshkit_fastprobe.scheduling.changes import ChangeStream
from meshkit_fastprobe.security.audit_chain import Head
from meshkit_fastprobe.security.policy import Resource
from meshkit_fastprobe.server.chaos_items import resource_of_run
from meshkit_fastprobe.server.envelope import rfc3339
from meshkit_fastprobe.server.events import Events
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.reports import Body

TRANSITION: Final = "transition"
AUDIT: Final = "audit"
TOGGLE: Final = "toggle"
CHAOS: Final = "chaos"


class TransitionItem(Body):
    name: str
    cluster: str
    namespace: str
    kind: str
    before: str
    after: str
    at: str
    reason: str | None = None
    message: str = ""
    flapping: bool = False


class HeadItem(Body):
    """Where the audit ends: who keeps the last one can tell whether the audit was cut since."""

    seq: int
    mac: str


class MoveItem(Body):
    """A run of an experiment moved on."""

    run: str
    experiment: str
    fault: str
    phase: str
    at: str
    why: str = ""
    ends_at: str | None = None


async def tell_transitions(host: Host, changes: ChangeStream, events: Events) -> None:
    """Until cancelled, or until the runtime ends."""
    async for change in changes:
        resource = Resource(host=host.settings.host, cluster=change.cluster, namespace=change.namespace, probe=change.name)
        events.put(TRANSITION, Permission.PROBES_READ, resource, transition_item(change), kind=change.kind)


def tell_head(host: Host, head: Head, events: Events) -> None:
    resource = Resource(host=host.settings.host, cluster=host.settings.cluster)
    events.put(AUDIT, Permission.AUDIT_READ, resource, HeadItem(seq=head.seq, mac=head.mac.hex()))


def tell_move(host: Host, run: Run, events: Events) -> None:
    move = run.moves[-1] if run.moves else Move(run.phase, time.time())
    item = MoveItem(
        run=run.id,
        experiment=run.experiment,
        fault=run.plan.fault.kind,
        phase=str(run.phase),
        at=rfc3339(move.at),
        why=run.why,
        ends_at=None if run.ends_at is None else rfc3339(run.ends_at),
    )
    events.put(CHAOS, Permission.CHAOS_READ, resource_of_run(host, run), item, kind=run.plan.fault.kind)


def transition_item(change: Transition) -> TransitionItem:
    return TransitionItem(
        name=change.name,
        cluster=change.cluster,
        namespace=change.namespace,
        kind=change.kind,
        before=change.before.name.lower(),
        after=change.after.name.lower(),
        at=rfc3339(change.at),
        reason=None if change.reason is Reason.NONE else str(change.reason),
        message=change.message,
        flapping=change.flapping,
    )
