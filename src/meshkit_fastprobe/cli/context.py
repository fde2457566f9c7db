"""`fastprobe context`: which sets of hosts there are, and which one is asked when nobody is named."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from meshkit_fastprobe.cli.contexts import CONTEXT_VARIABLE, Context, config_file, hosts_of, named, read_contexts
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document

Output = Annotated[Form, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")]


def context_list(output: Output = Form.table) -> int:
    """All contexts; * marks the one that is asked when no host is named."""
    file = read_contexts()
    current = os.environ.get(CONTEXT_VARIABLE, "") or file.current
    items = [_item(name, context, current=name == current) for name, context in file.context.items()]
    if output in {Form.json, Form.yaml}:
        write_document(output, {"file": str(config_file()), "items": items})
    elif output is Form.name:
        for item in items:
            typer.echo(item["name"])
    elif not items:
        typer.echo(f"no contexts: write [context.NAME] with hosts = [...] into {config_file()}", err=True)
    else:
        from meshkit_fastprobe.cli import tables

        console = tables.console(wide=output is Form.wide)
        console.print(tables.context_table(items, width=console.width))
    return Exit.WELL


def context_use(
    name: Annotated[str, typer.Argument(help="The context to ask from now on.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> int:
    """Ask the hosts of this context whenever none are named."""
    named(read_contexts(), name)
    if dry_run:
        typer.echo(f"would use {name}, in {config_file()}")
        return Exit.WELL
    path = config_file()
    try:
        _replace(path.resolve(), _with_current(path.read_text("utf-8"), name))
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}", f"use it for a while with: export {CONTEXT_VARIABLE}={name}") from None
    typer.echo(f"{name} is asked from now on")
    return Exit.WELL


def context_show(
    name: Annotated[str | None, typer.Argument(help="A context; by default the current one.")] = None,
    output: Output = Form.table,
) -> int:
    """The hosts of a context, and where its token and certificates lie. No token is shown."""
    file = read_contexts()
    name = name or os.environ.get(CONTEXT_VARIABLE, "") or file.current
    if not name:
        raise CliError("no context is current", "choose one with: fastprobe context use NAME")
    context = named(file, name)
    item = _item(name, context, current=name == file.current) | {"hosts": hosts_of(context, name)}
    if output in {Form.json, Form.yaml}:
        write_document(output, item)
    elif output is Form.name:
        for host in item["hosts"]:
            typer.echo(host)
    else:
        from meshkit_fastprobe.cli import tables

        tables.console().print(tables.facts_table([(key, _said(value)) for key, value in item.items() if value != ""]))
    return Exit.WELL


def _item(name: str, context: Context, *, current: bool) -> dict[str, Any]:
    return {
        "name": name,
        "current": current,
        "hosts": list(context.hosts),
        "hostsFile": context.hosts_file,
        "tokenFile": context.token_file,
        "caFile": context.ca_file,
        "certFile": context.cert_file,
        "keyFile": context.key_file,
    }


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(value) if isinstance(value, list) else str(value)


def _with_current(text: str, name: str) -> str:
    """The file with another `current`, and otherwise as its owner wrote it: a writer of TOML would lose the comments."""
    line = f'current = "{name}"' if re.fullmatch(r"[^\"\\\x00-\x1f\x7f]+", name) else ""
    if not line:
        raise CliError(f"context {name!r} cannot be written on one line", "rename it")
    head, table, rest = re.fullmatch(r"(.*?)(^[ \t]*\[.*|\Z)(.*)", text, re.DOTALL | re.MULTILINE).groups()  # type: ignore[union-attr]  # it matches everything
    pattern = r"^[ \t]*current[ \t]*=[^\n#]*?(?=[ \t]*(#|$))"
    changed, found = re.subn(pattern, lambda _: line, head, count=1, flags=re.MULTILINE)
    return (changed if found else line + "\n" + head) + table + rest


def _replace(path: Path, text: str) -> None:
    """Readers see the old file or the new one; its mode stays."""
    mode = path.stat().st_mode & 0o777
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".config-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
