"""/history: what was, by group, by probe, and the worst; from the file in the state_dir."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import trio

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.aggregation.maintenance import spans_within
from meshkit_fastprobe.config.durations import parse_duration
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.history import reading
from meshkit_fastprobe.history.reading import Stretch
from meshkit_fastprobe.history.spans import COARSE_S, FINE_S, OTHERS, Tags
from meshkit_fastprobe.history.store import HistoryError, Store
from meshkit_fastprobe.model import Maintenance
from meshkit_fastprobe.security.policy import Resource
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, Envelope, envelope_reply, rfc3339
from meshkit_fastprobe.server.history_items import (
    TAG_NAMES,
    GapItem,
    HistoryItem,
    UpkeepItem,
    offender_item,
    past_item,
    probe_item,
)
from meshkit_fastprobe.server.problems import HISTORY_UNAVAILABLE, Problem
from meshkit_fastprobe.server.query import Query, invalid, whole_number, word_of
from meshkit_fastprobe.server.reply import Reply

T = TypeVar("T")

STEPS: Final[dict[str, int | None]] = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3600,
    "6h": 21_600,
    "1d": 86_400,
    "all": None,
}
DEFAULT_STEP: Final = "15m"
DEFAULT_LAST: Final = "24h"
MAX_STEPS: Final = 3000
"""Of each group, or of a probe, in one answer."""
MAX_LAST_S: Final = 400 * 86_400.0
MAX_ITEMS: Final = 50_000
MAX_GAPS: Final = 1000
MAX_WORST: Final = 1000
DEFAULT_WORST: Final = 20


async def show_history(context: Context, request: Request) -> Reply:
    """What is kept, what is missing, and what was under maintenance."""
    host = context.host
    stretch = _stretch(request.query, step_s=None)
    item = HistoryItem(enabled=host.history.is_on, start=rfc3339(stretch.start), end=rfc3339(stretch.end))
    if host.history.is_on:
        settings, use = host.settings.history, host.history.use
        spans, oldest = await _ask(context, lambda store: (reading.covered(store, stretch), store.oldest()))
        item = msgspec.structs.replace(
            item,
            covered_seconds=sum(ms for _, _, ms in spans) / 1000,
            gaps=_gaps(stretch, spans),
            maintenance=await _maintenance(context, stretch),
            oldest=None if oldest is None else rfc3339(oldest),
            keep_seconds=settings.keep_s,
            bytes=use.bytes,
            max_bytes=settings.max_bytes,
            lost=use.lost,
            changes_lost=use.changes_lost,
            problem=use.problem,
        )
    return envelope_reply(request, _envelope(context, item=item))


async def list_past(context: Context, request: Request) -> Reply:
    query = request.query
    by = query.one("by", _tags, TAG_NAMES[:2])
    step_s = query.one("step", word_of("step", STEPS), STEPS[DEFAULT_STEP])
    stretch = _stretch(query, step_s)
    known = await _ask(context, lambda store: dict(store.tags))
    wanted = {tag: query.text(tag) for tag in TAG_NAMES}
    may_see = await _visible(context, request)
    shown = {
        number: tuple(tags[TAG_NAMES.index(tag)] for tag in by)
        for tags, number in known.items()
        if all(wanted[tag] in {None, value} for tag, value in zip(TAG_NAMES, tags, strict=True)) and may_see(tags)
    }
    try:
        steps = await _ask(context, lambda store: reading.by_group(store, stretch, shown, MAX_ITEMS))
    except reading.TooManyError:
        hint = f"at most {MAX_ITEMS:,}: ask for longer steps, or less by="
        raise invalid("step", f"makes more than {MAX_ITEMS:,} items of this", hint) from None
    return envelope_reply(request, _envelope(context, items=[past_item(step, by) for step in steps]))


async def show_past(context: Context, request: Request) -> Reply:
    query = request.query
    step_s = query.one("step", word_of("step", STEPS), STEPS[DEFAULT_STEP])
    stretch = _stretch(query, step_s)
    steps, changes = await _ask(context, lambda store: reading.of_probe(store, request.name, stretch))
    bounds = (stretch.start, stretch.end, float(step_s or stretch.end - stretch.start))
    return envelope_reply(request, _envelope(context, item=probe_item(request.name, bounds, steps, changes)))


async def list_worst(context: Context, request: Request) -> Reply:
    query = request.query
    stretch = _stretch(query, step_s=None)
    limit = query.one("limit", whole_number("limit", 1, MAX_WORST), DEFAULT_WORST)
    wanted = {tag: query.text(tag) for tag in TAG_NAMES}
    glob = query.text("name")
    settings, allows = context.host.settings, partial(context.authorization.may, request.principal, Permission.PROBES_READ)

    def may_see(name: str, tags: Tags) -> bool:
        if glob is not None and not fnmatchcase(name, glob):
            return False
        if any(wanted[tag] not in {None, value} for tag, value in zip(TAG_NAMES, tags, strict=True)):
            return False
        return allows(Resource(host=settings.host, cluster=tags[0], namespace=tags[1], probe=name))

    found = await _ask(context, lambda store: reading.worst(store, stretch, limit, may_see))
    return envelope_reply(request, _envelope(context, items=[offender_item(one) for one in found]))


async def _ask(context: Context, question: Callable[[Store], T]) -> T:
    try:
        return await context.host.history.ask(question)
    except HistoryError as error:
        raise Problem(HISTORY_UNAVAILABLE, str(error), "GET /history says how it stands with it") from None


async def _visible(context: Context, request: Request) -> Callable[[Tags], bool]:
    """Which groups may be told of: where names make a difference, those of which every probe may be seen, also of the past.

    OTHERS is of many tags: it is for who may see all of them.
    """
    authorization, settings = context.authorization, context.host.settings
    snapshot = context.listings.recent()
    visible = await authorization.visible(request.principal, snapshot)
    if visible is None:
        return lambda _: True
    allows = partial(authorization.may, request.principal, Permission.PROBES_READ)
    groups = context.host.catalog.groups.tags
    of_row = snapshot.columns["group"]
    hidden = {groups[number][:3] for number in np.unique(of_row[~visible]).tolist()}
    shown = {groups[number][:3] for number in np.unique(of_row[visible]).tolist()}
    if authorization.by_name(request.principal):
        there = context.host.catalog.by_name

        def of_who_is_gone(store: Store) -> set[tuple[Tags, bool]]:
            return {
                (tags, allows(Resource(host=settings.host, cluster=tags[0], namespace=tags[1], probe=name)))
                for name, tags in store.probes()
                if name not in there
            }

        for tags, is_allowed in await _ask(context, of_who_is_gone):
            (shown if is_allowed else hidden).add(tags)
        return lambda tags: tags != OTHERS and tags in shown and tags not in hidden

    def may_see(tags: Tags) -> bool:
        if tags == OTHERS or tags in hidden:
            return False
        return tags in shown or allows(Resource(host=settings.host, cluster=tags[0], namespace=tags[1], probe=""))

    return may_see


def _stretch(query: Query, step_s: int | None) -> Stretch:
    """Widened to whole steps; Problem when it cannot be."""
    now_s = time.time()
    end_s = query.one("end", partial(_moment, "end"), now_s)
    last_s = query.one("last", _last, parse_duration("last", DEFAULT_LAST))
    start_s = query.one("start", partial(_moment, "start"), end_s - last_s)
    if not 0 <= start_s < end_s <= now_s + MAX_LAST_S or end_s - start_s > MAX_LAST_S:
        raise invalid("start", "and end make no stretch of time", "start before end, at most 400 days apart")
    if step_s is not None and (end_s - start_s) / step_s > MAX_STEPS:
        raise invalid("step", f"makes more than {MAX_STEPS} steps of this", "ask for longer steps, or for less time")
    grain_s = FINE_S if step_s is not None and step_s < COARSE_S else COARSE_S
    start = int(start_s // grain_s * grain_s)
    return Stretch(start, int(-(-end_s // grain_s) * grain_s), step_s)


def _moment(name: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid(name, f"is {text[:40]!r}", "give a moment with its zone, as 2030-01-31T08:00:00Z")
    return moment.timestamp()


def _last(text: str) -> float:
    try:
        return parse_duration("last", text)
    except ConfigError:
        raise invalid("last", f"is {text[:40]!r}", "give a duration, as 24h or 7d") from None


def _tags(text: str) -> tuple[str, ...]:
    tags = tuple(text.split(",")) if text else ()
    if len(set(tags)) != len(tags) or not set(tags) <= set(TAG_NAMES):
        raise invalid(
            "by", f"is {text[:80]!r}", "give different ones of cluster, namespace, kind, with commas; history keeps no more"
        )
    return tags


def _gaps(stretch: Stretch, spans: list[tuple[int, int, int]]) -> list[GapItem]:
    """Where there are no spans, up to now."""
    gaps: list[tuple[float, float]] = []
    reached: float = stretch.start
    for start, length, _ in spans:
        if start > reached:
            gaps.append((reached, start))
        reached = max(reached, start + length)
    # The minute that goes on is written when it is over.
    end = min(stretch.end, int(time.time()) // FINE_S * FINE_S - FINE_S)
    if end > reached:
        gaps.append((reached, end))
    return [GapItem(start=rfc3339(start), end=rfc3339(end)) for start, end in gaps[-MAX_GAPS:]]


async def _maintenance(context: Context, stretch: Stretch) -> list[UpkeepItem]:
    found: list[tuple[float, float, Maintenance]] = []
    for window in context.host.maintenance.windows:
        more = [(start_s, end_s, window) for start_s, end_s in spans_within(window.when, stretch.start, stretch.end)]
        found = sorted([*found, *more], key=lambda one: one[:2])[:MAX_GAPS]
        await trio.lowlevel.checkpoint()  # a year of one window takes milliseconds, and there may be thousands of them
    return [
        UpkeepItem(
            reason=window.reason,
            start=rfc3339(start_s),
            end=rfc3339(end_s),
            name=window.name,
            cluster=window.cluster,
            namespace=window.namespace,
        )
        for start_s, end_s, window in found
    ]


def _envelope(context: Context, **told: Any) -> Envelope:
    return Envelope(
        schema_version=SCHEMA_VERSION,
        generated_at=rfc3339(time.time()),
        host=context.host.settings.host,
        **told,
    )
