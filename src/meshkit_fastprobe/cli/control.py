"""Verbs about the host itself: toggles, audit, events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.reading import (
    Cluster,
    Fleet,
    Hosts,
    Kind,
    NameGlob,
    Namespace,
    Output,
    TokenFile,
    Watch,
    _client,
    _code,
    _items,
    _params,
    problems_of,
)
from meshkit_fastprobe.cli.watching import repeat
from meshkit_fastprobe.cli.writing import DryRun

_WORDS = {"on": True, "true": True, "off": False, "false": False}

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="Where the host keeps its state; by default ./state, or that of this user's host."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most this many of each host.")]


def toggles_list(
    host: Hosts = None, fleet: Fleet = False, output: Output = Form.table, watch: Watch = False, token_file: TokenFile = None
) -> int:
    """What is switched on, since when, by whom, and what the configuration keeps."""
    client = _client(host, token_file, fleet=fleet)

    def look() -> int:
        answers = client.get("/toggles", [])
        _show_toggles(answers, _items(answers), output)
        return _code(answers, [])

    return repeat(look, watch=watch)


def toggles_set(
    name: Annotated[str, typer.Argument(help="The toggle's name, as in chaos.enabled.")],
    value: Annotated[str, typer.Argument(help="on, off, or one of its words.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")] = "",
    host: Hosts = None,
    output: Output = Form.table,
    dry_run: DryRun = False,
    token_file: TokenFile = None,
) -> int:
    """Switch something on or off, as it stands now: refused when somebody else changes it meanwhile."""
    client = _client(host, token_file)
    wanted: bool | str = _WORDS.get(value.lower(), value)
    change = None if dry_run else {"value": wanted, "reason": reason}
    # Each on its own: what has to go off has to go off on all that can be reached, whichever cannot.
    answers = client.each_at_once(lambda url: _switch(client, url, name, change))
    items = _items(answers, key="item")
    if dry_run:
        there = [answer.url for answer in answers if answer.envelope is not None]
        for url, item in zip(there, items, strict=True):
            typer.echo(f"would set {name} to {_said(wanted)} on {url}; it is {_said(item['value'])}")
        return _code(answers, [])
    for item in items:
        item.setdefault("_host", answers[0].host)  # documents tell where it was changed, also when there is one host
    _show_toggles(answers, items, output)
    return _code(answers, [])


def audit_list(
    actor: Annotated[str | None, typer.Option("--actor", help="Only of user:NAME, local or unknown:ADDRESS.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this, as in probe.pause.")] = None,
    result: Annotated[str | None, typer.Option("--result", help="allowed or denied.")] = None,
    limit: Limit = 50,
    host: Hosts = None,
    fleet: Fleet = False,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """Who did what, and who was refused; newest first."""
    client = _client(host, token_file, fleet=fleet)
    answers = client.get_all("/audit", _params(actor=actor, action=action, result=result), limit)
    items = _items(answers)
    if output in {Form.json, Form.yaml}:
        write_document(output, {"items": items} | problems_of(answers))
    elif output is Form.name:
        for item in items:
            typer.echo(item["seq"])
    else:
        from meshkit_fastprobe.cli import control_tables, tables

        console = tables.console(wide=output is Form.wide)
        console.print(control_tables.audit_table(items, time.time(), width=console.width, hosts=len(client.hosts) > 1))
    return _code(answers, [])


def audit_verify(
    state_dir: StateDir = None,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="SEQ:MAC that was seen elsewhere, as events and metrics tell; repeatable."),
    ] = None,
    output: Output = Form.table,
) -> int:
    """Check the chain of a host's audit on this machine, also while the host runs. Exit 1 when it is not intact."""
    from meshkit_fastprobe.security.audit_store import verify

    audit = _audit_of(state_dir)
    report = verify(audit, [_head(text) for text in head or []])
    told: dict[str, Any] = {"audit": str(audit), "verdict": str(report.verdict), "records": report.records}
    told["head"] = _head_text(report.head)
    told |= {"at": report.at} if report.at is not None else {}
    told |= {"why": report.why} if report.why else {}
    if output in {Form.json, Form.yaml}:
        write_document(output, told)
    else:
        place = "" if report.at is None else f" at record {report.at}"
        typer.echo(f"{report.verdict}{place}{': ' + report.why if report.why else ''}")
        typer.echo(f"{report.records:,} records in {audit}, head {_head_text(report.head)}")
    return Exit.WELL if report.verdict == "intact" else Exit.UNHEALTHY


def audit_export(state_dir: StateDir = None) -> int:
    """All records of a host's audit on this machine, oldest first, a JSON object a line."""
    from meshkit_fastprobe.security.audit_store import export

    for line in export(_audit_of(state_dir)):
        typer.echo(line)
    return Exit.WELL


def events(
    types: Annotated[str | None, typer.Option("--types", help="Only these, with commas: transition, toggle, audit.")] = None,
    host: Hosts = None,
    fleet: Fleet = False,
    cluster: Cluster = None,
    namespace: Namespace = None,
    kind: Kind = None,
    name: NameGlob = None,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """What happens, as it happens, until Ctrl-C. -o json writes a JSON object a line."""
    from meshkit_fastprobe.cli.following import follow

    client = _client(host, token_file, fleet=fleet)
    params = _params(types=types, cluster=cluster, namespace=namespace, kind=kind, name=name)
    return follow(client, params, output)


def _show_toggles(answers: Sequence[Any], items: list[dict[str, Any]], output: Form) -> None:
    if output in {Form.json, Form.yaml}:
        write_document(output, {"items": items} | problems_of(answers))
    elif output is Form.name:
        for item in items:
            typer.echo(item["name"])
    else:
        from meshkit_fastprobe.cli import control_tables, tables

        console = tables.console(wide=output is Form.wide)
        console.print(control_tables.toggle_table(items, time.time(), width=console.width, hosts=len(answers) > 1))


def _switch(client: Any, url: str, name: str, change: dict[str, Any] | None) -> Any:
    """What one host answers to a change of the toggle as it stands there; without a change, how it stands."""
    from meshkit_fastprobe.cli.client import Answer

    answer = client.one(url, "GET", "/toggles", [])
    if answer.envelope is None:
        return answer
    standing = next((item for item in answer.envelope["items"] if item["name"] == name), None)
    if standing is None:
        return Answer(url, None, f"no toggle is named {name!r}", "list them with: fastprobe toggles list -o name", Exit.USAGE)
    if change is None:
        return Answer(url, {**answer.envelope, "item": standing})
    based_on = {"if-match": f'"{standing["version"]}"'}
    return client.one(url, "PUT", f"/toggles/{quote(name, safe='')}", [], change, based_on)


def _said(value: bool | str) -> str:
    return value if isinstance(value, str) else "on" if value else "off"


def _audit_of(state_dir: Path | None) -> Path:
    from meshkit_fastprobe.cli.places import state_dirs

    where = [directory / "audit" for directory in ((state_dir,) if state_dir else state_dirs())]
    for directory in where:
        if directory.is_dir():
            return directory
    looked = " or ".join(map(str, where))
    raise CliError(f"{looked}: there is no audit", "name the host's state directory with --state-dir", Exit.USAGE)


def _head(text: str) -> Any:
    from meshkit_fastprobe.security.audit_chain import Head

    seq, _, mac = text.partition(":")
    try:
        return Head(int(seq), bytes.fromhex(mac))
    except ValueError:
        raise CliError(f"--head: {text!r} is no SEQ:MAC", "copy it from `fastprobe audit verify` or an audit event") from None


def _head_text(head: Any) -> str:
    return f"{head.seq}:{head.mac.hex()}"
