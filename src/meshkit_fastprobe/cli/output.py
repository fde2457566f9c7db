"""The forms an answer can take: table, wide, json, yaml, name. JSON and YAML are stable: sorted keys, one document."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import typer


class Form(StrEnum):
    table = "table"
    wide = "wide"
    json = "json"
    yaml = "yaml"
    name = "name"


def write_document(form: Form, document: Any) -> None:
    """The whole answer as JSON or YAML on stdout."""
    document = _public(document)
    if form is Form.json:
        typer.echo(msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2).decode())
    else:
        import yaml

        typer.echo(yaml.safe_dump(document, sort_keys=True, allow_unicode=True), nl=False)


def _public(document: Any) -> Any:
    """Items know their host as _host, which no field of the wire can be; readers see it as host."""
    if isinstance(document, list):
        return [_public(one) for one in document]
    if not isinstance(document, dict):
        return document
    listed = {key: _public(value) if key in {"items", "worst"} else value for key, value in document.items()}
    return {"host" if key == "_host" else key: value for key, value in listed.items()}
