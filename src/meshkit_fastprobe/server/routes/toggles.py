"""/toggles: what is switched on; durable, versioned, under the ceiling of the configuration."""

from __future__ import annotations

import re
import time
from typing import Final

import msgspec
import trio

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.security.policy import Resource
from meshkit_fastprobe.security.toggles import Toggle, ToggleRefusedError, Value, VersionMismatchError, word_of
from meshkit_fastprobe.server.bodies import read_json
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, Envelope, ToggleItem, envelope_reply, rfc3339
from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.problems import (
    AUDIT_UNAVAILABLE,
    TOGGLE_REFUSED,
    UNKNOWN_TOGGLE,
    VERSION_MISMATCH,
    VERSION_NEEDED,
    Problem,
)
from meshkit_fastprobe.server.reply import Reply
from meshkit_fastprobe.server.switching import apply
from meshkit_fastprobe.server.telling import TOGGLE

ACTION: Final = "toggle.set"
_etag: Final = re.compile(rb'(")?(0|[1-9][0-9]{0,17})(?(1)")')
"""Quoted, as the header wants it, or as people write it; a version has one way to be written."""


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a PUT."""

    value: Value
    reason: str = ""


async def list_toggles(context: Context, request: Request) -> Reply:
    request.refuse_query()
    return envelope_reply(request, _envelope(context, items=[toggle_item(context, one) for one in context.toggles]))


async def set_toggle(context: Context, request: Request) -> Reply:
    """Written to the audit, then to the disk, then put into force: what fails leaves everything as it was.

    But what only ends or forbids harm waits for neither.
    """
    request.refuse_query()
    change = await read_json(request.scope, Change)
    version = _version(request)
    toggles, principal = context.toggles, request.principal
    try:
        toggle = toggles.changed(request.name, change.value, version, by=principal.subject, reason=change.reason)
        detail = f"{word_of(toggles[request.name].value)} -> {word_of(toggle.value)}"
        stops = change.value == toggles.declared[request.name].stops
        record = context.authorization.note if stops else context.authorization.record
        await record(principal, ACTION, request.name, reason=change.reason, detail=detail)
        await trio.to_thread.run_sync(toggles.keep, toggle)
    except KeyError:
        raise Problem(UNKNOWN_TOGGLE, f"no toggle is named {request.name[:256]!r}", "list them with GET /toggles") from None
    except VersionMismatchError as error:
        raise Problem(VERSION_MISMATCH, str(error), "look at it with GET /toggles, then decide again") from None
    except ToggleRefusedError as error:
        raise Problem(TOGGLE_REFUSED, str(error), "GET /toggles tells what there is; ceilings stand in [toggles]") from None
    except OSError as error:
        what = (
            "it is in force, but only until the host stops" if stops and await _held(context, toggle) else "nothing was changed"
        )
        raise Problem(
            AUDIT_UNAVAILABLE, f"{what}: {error.strerror or error}", "look at the disk of the host's state_dir"
        ) from None
    item = await _enforce(context, toggle)
    reply = envelope_reply(request, _envelope(context, item=item))
    return msgspec.structs.replace(reply, headers={**reply.headers, "etag": f'"{toggle.version}"'})


async def _held(context: Context, toggle: Toggle) -> bool:
    """False when another change came in between."""
    try:
        context.toggles.hold(toggle)
    except VersionMismatchError:
        return False
    await _enforce(context, toggle)
    return True


async def _enforce(context: Context, toggle: Toggle) -> ToggleItem:
    await apply(context.host, context.toggles)
    item = toggle_item(context, toggle)
    settings = context.host.settings
    context.events.put(TOGGLE, Permission.TOGGLES_READ, Resource(host=settings.host, cluster=settings.cluster), item)
    return item


def _version(request: Request) -> int | None:
    """What the change is based on; None for whatever there is (*)."""
    values = header(request.scope, b"if-match")
    text = values[0].strip() if len(values) == 1 else b""
    if text == b"*":
        return None
    match = _etag.fullmatch(text)
    if match is None:
        raise Problem(
            VERSION_NEEDED, "no If-Match header with a version", 'send If-Match: "VERSION" as GET /toggles tells it, or *'
        )
    return int(match[2])


def toggle_item(context: Context, toggle: Toggle) -> ToggleItem:
    declared = context.toggles.declared[toggle.name]
    return ToggleItem(
        name=toggle.name,
        value=toggle.value,
        version=toggle.version,
        does=declared.does,
        choices=list(declared.choices),
        ceiling=context.toggles.ceiling(toggle.name),
        changed_at=None if toggle.changed_at is None else rfc3339(toggle.changed_at),
        changed_by=toggle.changed_by,
        reason=toggle.reason,
    )


def _envelope(context: Context, *, item: ToggleItem | None = None, items: list[ToggleItem] | None = None) -> Envelope:
    return Envelope(
        schema_version=SCHEMA_VERSION,
        generated_at=rfc3339(time.time()),
        host=context.host.settings.host,
        item=item,
        items=items,
    )
