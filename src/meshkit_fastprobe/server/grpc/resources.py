"""The Diagnostics service: each method goes through a route of the table, with the permission and the audit of that route.

What a route answers, as JSON, is what proto3 calls the JSON form of the answer's message; so one payload is made in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import trio

from meshkit_fastprobe.server.bodies import BODY, Body
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.grpc.call import Call
from meshkit_fastprobe.server.grpc.messages import message_class, service
from meshkit_fastprobe.server.grpc.method import Method
from meshkit_fastprobe.server.grpc.status import CallError, Code, good_no_longer
from meshkit_fastprobe.server.guard import PRINCIPAL, PROVEN
from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.negotiation import JSON
from meshkit_fastprobe.server.reply import Reply, Scope, StreamReply
from meshkit_fastprobe.server.routes import ROUTES, RouteSpec, admit

SERVICE: Final = "meshkit.diagnostics.v1.Diagnostics"
PATHS: Final = {
    "ListProbes": ("GET", "/probes"),
    "GetProbe": ("GET", "/probes/{name}"),
    "RunProbe": ("POST", "/probes/{name}:run"),
    "PauseProbe": ("POST", "/probes/{name}:pause"),
    "ResumeProbe": ("POST", "/probes/{name}:resume"),
    "ListGroups": ("GET", "/groups"),
    "GetHistory": ("GET", "/history"),
    "ListPast": ("GET", "/history/groups"),
    "ListWorst": ("GET", "/history/probes"),
    "GetProbePast": ("GET", "/history/probes/{name}"),
    "WatchEvents": ("GET", "/events"),
    "ListToggles": ("GET", "/toggles"),
    "SetToggle": ("PUT", "/toggles/{name}"),
    "ListFaults": ("GET", "/chaos/faults"),
    "ListExperiments": ("GET", "/chaos/experiments"),
    "AddExperiment": ("POST", "/chaos/experiments"),
    "GetExperiment": ("GET", "/chaos/experiments/{name}"),
    "PrepareExperiment": ("POST", "/chaos/experiments/{name}:prepare"),
    "ApproveExperiment": ("POST", "/chaos/experiments/{name}:approve"),
    "ActivateExperiment": ("POST", "/chaos/experiments/{name}:activate"),
    "StopExperiment": ("POST", "/chaos/experiments/{name}:stop"),
    "HaltChaos": ("POST", "/chaos:halt"),
    "ResumeChaos": ("POST", "/chaos:resume"),
    "ListRuns": ("GET", "/chaos/runs"),
    "GetRun": ("GET", "/chaos/runs/{name}"),
    "GetReceipt": ("GET", "/chaos/receipts/{name}"),
    "ListObjects": ("GET", "/chaos/objects"),
    "ListAudit": ("GET", "/audit"),
    "ListHosts": ("GET", "/fleet/hosts"),
    "Reload": ("POST", "/reload"),
}
AT_A_STRETCH: Final = 32
"""Items made into messages before the event loop has its turn: a millisecond or two."""


class ThroughRoute:
    """One method."""

    def __init__(self, spec: RouteSpec, takes: Any, gives: Any) -> None:
        self._spec = spec
        self._takes = takes
        self._gives = gives
        self.reads = spec.method == "GET"
        self._once_begun_done = bool(spec.action) and spec.action != "probe.run"
        """A change is not left half done because its caller has gone, or waits no longer; a run may be."""

    async def answer(self, context: Context, call: Call) -> None:
        given = plain(self._takes, await call.read_only())
        scope = _scope(call.scope, self._spec, given)
        asked = Request(scope, str(given.get("name", "")) if "{name}" in self._spec.path else "", self._spec.query)
        with trio.CancelScope(shield=self._once_begun_done):
            await admit(context, self._spec, asked)
            reply = await self._spec.handler(context, asked)
        if isinstance(reply, StreamReply):
            await self._follow(call, reply)
            if not asked.proven:
                raise good_no_longer()
            raise CallError(Code.UNAVAILABLE, "the host is leaving; go on elsewhere, or here later, from the last id")
        assert isinstance(reply, Reply)
        await call.write(await self._message(msgspec.json.decode(reply.body)))

    async def _message(self, told: dict[str, Any]) -> bytes:
        from google.protobuf.json_format import ParseDict

        items = told.pop("items", ())
        message = ParseDict(told, self._gives(), ignore_unknown_fields=True)
        for start in range(0, len(items), AT_A_STRETCH):
            for item in items[start : start + AT_A_STRETCH]:
                ParseDict(item, message.items.add(), ignore_unknown_fields=True)
            await trio.lowlevel.checkpoint()
        content: bytes = message.SerializeToString()
        return content

    async def _follow(self, call: Call, reply: StreamReply) -> None:
        try:
            async for text in reply.texts:
                for block in text.split(b"\n\n"):
                    event = _event(self._gives, block)
                    if event is not None:
                        await call.write(event)
                await trio.lowlevel.checkpoint()
        finally:
            with trio.CancelScope(shield=True):
                await reply.texts.aclose()


@lru_cache(maxsize=4096)
def _event(gives: Any, block: bytes) -> bytes | None:
    """A server-sent event as a message: made once for all who follow. None for a heartbeat: HTTP/2 has its own."""
    from google.protobuf.json_format import ParseDict

    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
    if b"event" not in fields:
        return None
    told = {"id": fields[b"id"].decode(), fields[b"event"].decode(): msgspec.json.decode(fields[b"data"])}
    content: bytes = ParseDict(told, gives(), ignore_unknown_fields=True).SerializeToString()
    return content


def plain(takes: Any, content: bytes) -> dict[str, Any]:
    """The fields of a message that say something, in camelCase."""
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError

    try:
        given: dict[str, Any] = MessageToDict(takes.FromString(content))
    except (DecodeError, ValueError) as error:
        raise CallError(Code.INVALID_ARGUMENT, f"this is no {takes.DESCRIPTOR.name}: {error}") from None
    return given


def _scope(scope: Scope, spec: RouteSpec, given: Mapping[str, Any]) -> Scope:
    """The request that the same question would be over HTTP."""
    left = dict(given)
    if "{name}" in spec.path:
        left.pop("name", None)
    headers = [(b"accept", JSON.encode()), (b"content-type", JSON.encode())]
    headers += [(b"authorization", value) for value in header(scope, b"authorization")]  # what peers are asked with
    version, any_version = left.pop("version", None), left.pop("anyVersion", False)
    if spec.versioned and (any_version or version is not None):
        headers.append((b"if-match", b"*" if any_version else f'"{version}"'.encode()))
    seen = left.pop("lastEventId", None)
    if seen is not None:
        headers.append((b"last-event-id", seen.encode("utf-8")))
    query = {parameter.name: left.pop(_camel(parameter.name), None) for parameter in spec.query}
    asked: Scope = {
        "type": "http",
        "method": spec.method,
        "path": spec.path,
        "query_string": urlencode(
            {name: _text(value) for name, value in query.items() if value is not None}, doseq=True
        ).encode(),
        "headers": headers,
        PRINCIPAL: scope[PRINCIPAL],
        PROVEN: scope[PROVEN],
    }
    if spec.body is not None:
        body = asked[BODY] = Body()
        body.take({"type": "http.request", "body": msgspec.json.encode(left.get("definition", left))})
    return asked


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def methods() -> dict[str, Method]:
    table = {(spec.method, spec.path): spec for spec in ROUTES}
    found: dict[str, Method] = {}
    for method in service(SERVICE).methods:
        takes, gives = (message_class(kind.full_name) for kind in (method.input_type, method.output_type))
        found[f"/{SERVICE}/{method.name}"] = ThroughRoute(table[PATHS[method.name]], takes, gives)
    return found
