"""/groups: counts, rates and percentiles by any tags."""

from __future__ import annotations

from typing import Final

import numpy as np

from meshkit_fastprobe.aggregation.groups import MAX_TAGS
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, Envelope, envelope_reply, group_item, rfc3339
from meshkit_fastprobe.server.filters import EVERYTHING, Filters
from meshkit_fastprobe.server.query import TRUTH, invalid, word_of
from meshkit_fastprobe.server.reply import Reply

DEFAULT_BY: Final[tuple[str, ...]] = ("cluster", "namespace")
WINDOWS: Final = {window: window for window in ("1m", "5m", "1h")}


async def list_groups(context: Context, request: Request) -> Reply:
    query = request.query
    by = query.one("by", _tags, DEFAULT_BY)
    window = query.one("window", word_of("window", WINDOWS), None)
    buckets = query.one("buckets", word_of("buckets", TRUTH), default=False)
    filters = Filters.read(query)
    snapshot = context.host.snapshot()
    visible = await context.authorization.visible(request.principal, snapshot)
    if filters != EVERYTHING:
        # Only by what all probes of a tag set share, so that a group is counted whole or not at all.
        chosen = np.zeros(len(snapshot), np.bool_)
        chosen[filters.select(snapshot)] = True
        visible = chosen if visible is None else visible & chosen
    return envelope_reply(
        request,
        Envelope(
            schema_version=SCHEMA_VERSION,
            generated_at=rfc3339(snapshot.taken_at),
            host=snapshot.host,
            items=[group_item(group) for group in snapshot.groups(by, window, visible, buckets=buckets)],
            warnings=_warnings(context),
        ),
    )


def _warnings(context: Context) -> list[str] | None:
    problem = context.host.history.use.problem
    return [f"no history is kept: {problem}"] if problem else None


def _tags(text: str) -> tuple[str, ...]:
    tags = tuple(text.split(",")) if text else ()
    if "" in tags or len(set(tags)) != len(tags) or len(tags) > MAX_TAGS:
        raise invalid(
            "by",
            f"is {text[:80]!r}",
            f"give up to {MAX_TAGS} different tags with commas: cluster, namespace, kind, or a label's name",
        )
    return tags
