"""/probes: listing by page, one in full, and the three verbs."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import Final

import numpy as np
import trio

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.errors import NotRunningError, SkippedError, UnknownProbeError
from meshkit_fastprobe.model import Explanation
from meshkit_fastprobe.server.authorization import unknown_probe
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, Envelope, ProbeItem, envelope_reply, probe_item, rfc3339
from meshkit_fastprobe.server.filters import Filters
from meshkit_fastprobe.server.paging import make_token, read_token
from meshkit_fastprobe.server.problems import NOT_READY, RUN_SKIPPED, Problem
from meshkit_fastprobe.server.query import TRUTH, whole_number, word_of
from meshkit_fastprobe.server.reply import Reply
from meshkit_fastprobe.server.reports import explanation_item

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 10_000
AT_A_STRETCH: Final = 128
"""Rows made into objects before the event loop has its turn: a millisecond or two."""


async def list_probes(context: Context, request: Request) -> Reply:
    """A page of probes in the order of their names. Only the page's rows become objects, and others run in between."""
    query = request.query
    filters = Filters.read(query)
    size = query.one("page_size", whole_number("page_size", 1, MAX_PAGE), DEFAULT_PAGE)
    token = query.text("page_token")
    last_seen = read_token(token, filters.fingerprint) if token else None

    async def make(snapshot: Snapshot) -> Reply:
        rows = filters.select(snapshot)
        visible = await context.authorization.visible(request.principal, snapshot)
        if visible is not None:
            rows = rows[visible[rows]]
        first = 0 if last_seen is None else int(np.searchsorted(rows, bisect_right(snapshot.names, last_seen)))
        page = rows[first : first + size].tolist()
        envelope = Envelope(
            schema_version=SCHEMA_VERSION,
            generated_at=rfc3339(snapshot.taken_at),
            host=snapshot.host,
            items=await _items(context, snapshot, page),
            next_page_token=make_token(snapshot.names[page[-1]], filters.fingerprint) if first + size < len(rows) else None,
        )
        return envelope_reply(request, envelope)

    sight = context.authorization.sight(request.principal)
    return await context.listings.page((sight, filters, last_seen, size, request.accept), make)


async def _items(context: Context, snapshot: Snapshot, rows: list[int]) -> list[ProbeItem]:
    items: list[ProbeItem] = []
    for start in range(0, len(rows), AT_A_STRETCH):
        views = snapshot.views(rows[start : start + AT_A_STRETCH])
        items += [probe_item(view, switched_off=context.host.pauses.is_off(view.kind)) for view in views]
        await trio.lowlevel.checkpoint()
    return items


async def show_probe(context: Context, request: Request) -> Reply:
    request.refuse_query()
    return _one(context, request)


async def run_probe(context: Context, request: Request) -> Reply:
    """Run now, and answer when the result is there; explain=true tells how it went."""
    explain = request.query.one("explain", word_of("explain", TRUTH), False)
    told: Explanation | None = None
    try:
        if explain:
            told = await context.host.explain(request.name)
        else:
            await context.host.run_once(request.name)
    except UnknownProbeError:
        raise unknown_probe(request.name) from None
    except SkippedError as error:
        hint = "nothing is wrong with the target: try again in a moment"
        raise Problem(RUN_SKIPPED, f"the run was skipped: {error.reason}", hint, headers={"retry-after": "1"}) from None
    except NotRunningError:
        raise Problem(NOT_READY, "probes are not being run", "start the runtime first") from None
    return _one(context, request, told)


async def pause_probe(context: Context, request: Request) -> Reply:
    request.refuse_query()
    try:
        context.host.pause(request.name)
    except UnknownProbeError:
        raise unknown_probe(request.name) from None
    return _one(context, request)


async def resume_probe(context: Context, request: Request) -> Reply:
    request.refuse_query()
    try:
        context.host.resume(request.name)
    except UnknownProbeError:
        raise unknown_probe(request.name) from None
    return _one(context, request)


def _one(context: Context, request: Request, told: Explanation | None = None) -> Reply:
    host = context.host
    try:
        view = host.view(request.name)
        off = host.pauses.is_off(view.kind)
        item = probe_item(view, host.recent(request.name), host.failures(request.name), switched_off=off)
    except UnknownProbeError:
        raise unknown_probe(request.name) from None
    envelope = Envelope(
        schema_version=SCHEMA_VERSION,
        generated_at=rfc3339(time.time()),
        host=host.settings.host,
        item=item,
        explanation=None if told is None else explanation_item(told, rfc3339(told.at)),
    )
    return envelope_reply(request, envelope)
