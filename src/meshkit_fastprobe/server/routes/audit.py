"""/audit: who did what, and who was refused; newest first."""

from __future__ import annotations

import time
from typing import Final

from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.security.audit_chain import Record
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, AuditItem, Envelope, envelope_reply, rfc3339
from meshkit_fastprobe.server.paging import make_token, read_number
from meshkit_fastprobe.server.problems import AUDIT_UNAVAILABLE, Problem
from meshkit_fastprobe.server.query import whole_number
from meshkit_fastprobe.server.reply import Reply

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1000
FILTERS: Final = ("actor", "action", "result", "scope")


async def list_records(context: Context, request: Request) -> Reply:
    """A page of records; one that is short, or empty, may still have another after it."""
    query = request.query
    wanted = {name: text for name in FILTERS if (text := query.text(name)) is not None}
    fingerprint = repr(sorted(wanted.items()))
    size = query.one("page_size", whole_number("page_size", 1, MAX_PAGE), DEFAULT_PAGE)
    token = query.text("page_token")
    before = read_number(token, fingerprint) if token else None
    audit = context.host.endpoints.audit
    if audit is None:
        raise Problem(AUDIT_UNAVAILABLE, "this host keeps no audit while it is not serving", "ask a host that runs")
    try:
        records, reached = await audit.newest(before, size, wanted)
    except AuditError as error:
        raise Problem(AUDIT_UNAVAILABLE, str(error), "check it with: fastprobe audit verify") from None
    envelope = Envelope(
        schema_version=SCHEMA_VERSION,
        generated_at=rfc3339(time.time()),
        host=context.host.settings.host,
        items=[_item(record) for record in records],
        next_page_token=None if reached is None else make_token(str(reached), fingerprint),
    )
    return envelope_reply(request, envelope)


def _item(record: Record) -> AuditItem:
    entry = record.entry
    return AuditItem(
        seq=record.seq,
        at=rfc3339(record.at_ns / 1e9),
        boot_id=record.boot_id,
        actor=entry.actor,
        action=entry.action,
        result=entry.result,
        scope=entry.scope,
        reason=entry.reason,
        ticket=entry.ticket,
        detail=entry.detail,
        late=record.late,
    )
