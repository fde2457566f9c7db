"""/openapi.json: what the table of routes says, as OpenAPI."""

from __future__ import annotations

from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.reply import Reply


async def describe(context: Context, request: Request) -> Reply:
    request.refuse_query()
    return Reply(200, "application/json", context.description())
