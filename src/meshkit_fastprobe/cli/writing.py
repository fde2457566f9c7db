"""Verbs that change a probe of a running host: run, pause, resume."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.reading import Hosts, Output, TokenFile, _client, _code, _items, probe_path

Name = Annotated[str, typer.Argument(help="The probe's name.")]
Explain = Annotated[bool, typer.Option("--explain", help="Tell how the run went: phases, connection, headers, reason.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def probes_run(
    name: Name,
    host: Hosts = None,
    output: Output = Form.table,
    explain: Explain = False,
    dry_run: DryRun = False,
    token_file: TokenFile = None,
) -> int:
    """Run a probe now and wait for its result. Exit 1 when it is unhealthy."""
    if explain and not dry_run:
        return _explain(name, host, output, token_file)
    return _do("run", name, host, output, dry_run, token_file)


def probes_pause(
    name: Name, host: Hosts = None, output: Output = Form.table, dry_run: DryRun = False, token_file: TokenFile = None
) -> int:
    """Stop scheduling a probe; its state becomes paused."""
    return _do("pause", name, host, output, dry_run, token_file)


def probes_resume(
    name: Name, host: Hosts = None, output: Output = Form.table, dry_run: DryRun = False, token_file: TokenFile = None
) -> int:
    """Schedule a paused probe again."""
    return _do("resume", name, host, output, dry_run, token_file)


def _explain(name: str, hosts: list[str] | None, output: Form, token_file: Path | None) -> int:
    client = _client(hosts, token_file)
    answers = client.post(f"{probe_path(name)}:run", [("explain", "true")])
    probes, told = _items(answers, key="item"), _items(answers, key="explanation", raise_alone=False)
    show_explained(told, output)
    return _code(answers, probes)


def show_explained(items: list[dict[str, Any]], output: Form) -> None:
    """Explanations of runs, one below the other."""
    if output in {Form.json, Form.yaml}:
        write_document(output, items[0] if len(items) == 1 else {"items": items})
        return
    if output is Form.name:
        for item in items:
            typer.echo(item["name"])
        return
    from rich.text import Text

    from meshkit_fastprobe.cli import explained, tables

    console = tables.console(wide=output is Form.wide)
    for item in items:
        where = f"  on {item['_host']}" if "_host" in item else ""
        console.print(Text(item["name"], style="bold").append(where, style="default"))
        console.print(explained.facts_table(item))
        console.print()
        console.print(explained.phases_table(item))
        if item.get("headers"):
            console.print()
            console.print(explained.headers_table(item))
        console.print()


def _do(verb: str, name: str, hosts: list[str] | None, output: Form, dry_run: bool, token_file: TokenFile) -> int:
    client = _client(hosts, token_file)
    path = probe_path(name)
    if dry_run:
        answers = client.get(path, [])
        if not _items(answers, key="item"):
            raise CliError(f"no host has a probe named {name!r}", "fastprobe probes list -o name", Exit.USAGE)
        typer.echo(f"would {verb} {name} on {', '.join(client.hosts)}")
        return _code(answers, [])
    answers = client.post(f"{path}:{verb}")
    items = _items(answers, key="item")
    if output in {Form.json, Form.yaml}:
        write_document(output, items[0] if len(items) == 1 else {"items": items})
    elif output is Form.name:
        typer.echo(name)
    else:
        from meshkit_fastprobe.cli import tables

        console = tables.console()
        console.print(tables.probe_table(items, time.time(), width=console.width, hosts=len(client.hosts) > 1))
    return _code(answers, items if verb == "run" else [])
