"""The page for people: its own files, which anybody may have. What it shows it asks the other routes for."""

from __future__ import annotations

from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.problems import NOT_FOUND, Problem
from meshkit_fastprobe.server.reply import Reply


async def show_page(context: Context, request: Request) -> Reply:
    return _file(context, request, "")


async def show_file(context: Context, request: Request) -> Reply:
    return _file(context, request, request.name)


def _file(context: Context, request: Request, name: str) -> Reply:
    request.refuse_query()
    reply = context.page.reply(name, request.scope)
    if reply is None:
        raise Problem(NOT_FOUND, "no such file of the page", "the page is GET /")
    return reply
