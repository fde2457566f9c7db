"""The table of routes as an OpenAPI 3.1 document: nothing is said here that the table and its types do not say."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from meshkit_fastprobe.server import problems
from meshkit_fastprobe.server.negotiation import JSON, MSGPACK
from meshkit_fastprobe.server.reports import ExplanationItem
from meshkit_fastprobe.server.routes import ROUTES, RouteSpec

_REFERENCE: Final = "#/components/schemas/{name}"
_PROBLEM: Final = {"$ref": "#/components/responses/Problem"}


@lru_cache(maxsize=8)
def openapi(prefix: str) -> bytes:
    """JSON of the document for endpoints below this prefix."""
    types = {part for route in ROUTES for part in (route.item, route.body) if part is not None} | {ExplanationItem}
    _, schemas = msgspec.json.schema_components(sorted(types, key=lambda part: part.__name__), ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        path = (prefix if route.resource else "") + route.path
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "meshkit-fastprobe", "version": version("meshkit-fastprobe")},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _problem()},
            "responses": {"Problem": _answer("what went wrong, and what to do", problems.MEDIA_TYPE, _ref("Problem"))},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(document)


def _operation(route: RouteSpec) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.says,
        "parameters": [
            *([_name()] if "{name}" in route.path else []),
            *(
                {
                    "name": parameter.name,
                    "in": "query",
                    "description": parameter.says,
                    "schema": {"type": "array", "items": parameter.schema} if parameter.repeatable else parameter.schema,
                }
                for parameter in route.query
            ),
        ],
        "responses": {"200": _success(route), "default": _PROBLEM},
    }
    if route.permission is None:
        operation["security"] = []
    else:
        operation["description"] = f"Asks for {route.permission}."
    if route.body is not None:
        schema = _ref(route.body.__name__)
        content = {JSON: {"schema": schema}, MSGPACK: {"schema": schema}}
        operation["requestBody"] = {"required": route.needs_body, "content": content}
    if route.versioned:
        operation["parameters"].append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "schema": {"type": "string"},
                "description": "the version, or *",
            }
        )
    return operation


def _success(route: RouteSpec) -> dict[str, Any]:
    if route.item is None:
        schema: dict[str, Any] = {"type": "object"} if route.media == JSON else {"type": "string"}
        return _answer(route.says, route.media, schema)
    item = _ref(route.item.__name__)
    content = {"items": {"type": "array", "items": item}} if route.many else {"item": item}
    more = {"nextPageToken": {"type": "string"}} if any(one.name == "page_token" for one in route.query) else {}
    if any(one.name == "explain" for one in route.query):
        more["explanation"] = _ref(ExplanationItem.__name__)
    envelope = {
        "type": "object",
        "required": ["schemaVersion", "generatedAt", "host", *content],
        "properties": {
            "schemaVersion": {"const": 1},
            "generatedAt": {"type": "string", "format": "date-time"},
            "host": {"type": "string"},
            **content,
            **more,
        },
    }
    answer = _answer(route.says, JSON, envelope)
    answer["content"][MSGPACK] = {"schema": envelope}
    return answer


def _name() -> dict[str, Any]:
    """Slashes in it work as they are, which OpenAPI cannot say; clients encode them."""
    return {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _problem() -> dict[str, Any]:
    texts = ("type", "title", "detail", "hint", "instance")
    return {
        "type": "object",
        "required": ["type", "title", "status", "code", "detail", "hint"],
        "properties": {
            **{name: {"type": "string"} for name in texts},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": [kind.code for kind in problems.ALL]},
        },
    }


def _answer(says: str, media: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": says, "content": {media: {"schema": schema}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=name)}
