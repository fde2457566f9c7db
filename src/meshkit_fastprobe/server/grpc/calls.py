"""gRPC in the app: what comes with its media type is a call, and goes past everything that is made for documents.

The same people may do the same as over HTTP: who asks is found out by the same Admission, and what a method may do is asked of
the same Authorization.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

import trio

from meshkit_fastprobe.server.accesses import OUTCOME, ROUTE, Outcome
from meshkit_fastprobe.server.context import Context
from meshkit_fastprobe.server.grpc.call import Call
from meshkit_fastprobe.server.grpc.messages import NoProtobufError
from meshkit_fastprobe.server.grpc.method import Method
from meshkit_fastprobe.server.grpc.status import AS_HTTP, CallError, Code, error_of, timeout_s
from meshkit_fastprobe.server.guard import Admission
from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.problems import GRPC_REFUSED, Problem
from meshkit_fastprobe.server.reply import Answer, Receive, Scope, Send
from meshkit_fastprobe.server.unexpected import our_fault

MEDIA_TYPES: Final = frozenset({b"application/grpc", b"application/grpc+proto"})
TRAILERS: Final = "http.response.trailers"

log = logging.getLogger("meshkit_fastprobe.server")


class Calls:
    """methods: made at the first call, since protobuf is large and may not be there."""

    def __init__(
        self, app: Answer, context: Context, admission: Admission, methods: Callable[[], Mapping[str, Method]]
    ) -> None:
        self._app = app
        self._context = context
        self._admission = admission
        self._make_methods = methods

    @cached_property
    def _methods(self) -> Mapping[str, Method]:
        return self._make_methods()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        media = b"" if scope["type"] != "http" else b"".join(header(scope, b"content-type")).partition(b";")[0].strip().lower()
        if not media.startswith(b"application/grpc"):
            await self._app(scope, receive, send)
            return
        refused = _unfit(scope, media)
        if refused is not None:
            await refused.reply()(scope, receive, send)
            return
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        ended = CallError(Code.CANCELLED, "")
        call: Call | None = None
        try:
            call = Call(scope, receive, send)
            ended = await self._carried_out(scope, call)
        except CallError as error:
            ended = error
            call = call or _without_encoding(scope, receive, send)
        finally:
            reads = self._reads(scope)
            scope[OUTCOME] = Outcome(status=AS_HTTP[ended.code], protocol="grpc", reads=reads and ended.code is Code.OK)
        if ended.code is not Code.CANCELLED:
            await call.end(ended.code, ended.message, ended.trailers)

    async def _carried_out(self, scope: Scope, call: Call) -> CallError:
        """What the call ends with; CANCELLED when nobody waits for that."""
        ended = CallError(Code.CANCELLED, "")
        within_s = timeout_s(header(scope, b"grpc-timeout"))
        with trio.move_on_after(float("inf") if within_s is None else within_s) as deadline:
            async with trio.open_nursery() as nursery:

                async def hear() -> None:
                    await call.hear()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(hear)
                ended = await self._ending(scope, call)
                nursery.cancel_scope.cancel()
        if deadline.cancelled_caught:
            return CallError(Code.DEADLINE_EXCEEDED, f"it took longer than the {within_s:g} s of the caller")
        return ended

    async def _ending(self, scope: Scope, call: Call) -> CallError:
        try:
            await self._act(scope, call)
        except CallError as error:
            return error
        except Problem as problem:
            return error_of(problem)
        except Exception as error:  # noqa: BLE001 - the caller gets an id, the log the rest
            return error_of(our_fault(scope["path"][:256], error))
        return CallError(Code.OK, "")

    async def _act(self, scope: Scope, call: Call) -> None:
        self._admission.admit(scope)
        try:
            method = self._methods.get(scope["path"])
        except NoProtobufError:
            raise CallError(
                Code.UNIMPLEMENTED, "this host has no protobuf: pip install 'meshkit-fastprobe[grpc]' there"
            ) from None
        if method is None or scope["method"] != "POST":
            raise CallError(Code.UNIMPLEMENTED, f"no method {scope['path'][:256]!r} here; reflection tells which there are")
        scope[ROUTE] = scope["path"]
        await method.answer(self._context, call)

    def _reads(self, scope: Scope) -> bool:
        method = self._methods.get(scope["path"]) if ROUTE in scope else None
        return method is not None and method.reads


def _unfit(scope: Scope, media: bytes) -> Problem | None:
    """Why a call cannot be answered as one."""
    if media not in MEDIA_TYPES:
        return Problem(GRPC_REFUSED, f"no messages of {media.decode('latin-1')!r} here", "send application/grpc+proto")
    if scope["http_version"] == "1.1" or TRAILERS not in scope.get("extensions", {}):
        return Problem(GRPC_REFUSED, "gRPC needs HTTP/2 or HTTP/3, for the trailers that end a call", "call over HTTP/2")
    if header(scope, b"te") != [b"trailers"]:
        return Problem(GRPC_REFUSED, "the caller does not say that it takes trailers", "send te: trailers")
    return None


def _without_encoding(scope: Scope, receive: Receive, send: Send) -> Call:
    """To tell a caller that its encoding is not known here."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"grpc-encoding"]
    return Call({**scope, "headers": headers}, receive, send)
