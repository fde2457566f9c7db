"""/reload: the configuration file, read again and applied as a difference."""

from __future__ import annotations

import time

import msgspec

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, Envelope, ReloadItem, envelope_reply, rfc3339
from meshkit_fastprobe.server.problems import INVALID_CONFIGURATION, Problem
from meshkit_fastprobe.server.reply import Reply


async def reload_file(context: Context, request: Request) -> Reply:
    request.refuse_query()
    try:
        summary = await context.host.reload_file()
    except ConfigError as error:
        hint = "everything goes on as before; try it with: fastprobe config check FILE"
        raise Problem(INVALID_CONFIGURATION, str(error), hint) from None
    envelope = Envelope(
        schema_version=SCHEMA_VERSION,
        generated_at=rfc3339(time.time()),
        host=context.host.settings.host,
        item=ReloadItem(**msgspec.structs.asdict(summary)),
    )
    return envelope_reply(request, envelope)
