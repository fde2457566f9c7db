"""Bodies that nobody asked for."""

from __future__ import annotations

import trio

from meshkit_fastprobe.server.reply import Answer, Message, Receive, Scope, Send


class Drain:
    """Reads and forgets bodies: no route takes one, and a body nobody reads would block hypercorn's reader for good."""

    def __init__(self, app: Answer) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        gone = trio.Event()

        async def receive_no_body() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_forget, receive, gone)
            await self._app(scope, receive_no_body, send)
            nursery.cancel_scope.cancel()


async def _forget(receive: Receive, gone: trio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _has_body(scope: Scope) -> bool:
    return any(
        name.lower() == b"transfer-encoding" or (name.lower() == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
