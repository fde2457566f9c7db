"""Verbs that look: status, groups, probes list, probes show. All of them take several hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document

Hosts = Annotated[
    list[str] | None, typer.Option("--host", help="Host to ask, as URL; repeatable. Default http://127.0.0.1:9464.")
]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="File with the bearer token (or set FASTPROBE_TOKEN).")]
Output = Annotated[Form, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Stay and redraw every two seconds.")]
Cluster = Annotated[str | None, typer.Option("--cluster", help="Only this cluster.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace.")]
StateFilter = Annotated[str | None, typer.Option("--state", help="unknown, healthy, degraded, unhealthy or paused.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only this probe kind.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="k=v; repeatable, all must match.")]
NameGlob = Annotated[str | None, typer.Option("--name", help="Only names that match this glob.")]

WATCH_EVERY_S = 2.0
STATUS_WORST = 15


def status(
    host: Hosts = None,
    cluster: Cluster = None,
    namespace: Namespace = None,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """One row a host, and what is wrong right now, worst first. Exit 1 when something is unhealthy."""
    client = _client(host, token_file)
    where = _params(cluster=cluster, namespace=namespace)

    def look() -> int:
        groups = client.get("/groups", [*where, ("window", "1m")])
        alive = client.those_of(groups)
        bad = [alive.get_all("/probes", [*where, ("state", state)], STATUS_WORST) for state in ("unhealthy", "degraded")]
        return _show_status(groups, bad, output)

    return _repeat(look, watch=watch)


def groups(
    by: Annotated[
        str, typer.Option("--by", help="Tags to group by, comma separated: cluster, namespace, kind, any label.")
    ] = "cluster,namespace",
    window: Annotated[str | None, typer.Option("--window", help="1m, 5m or 1h; without it, since the start.")] = None,
    host: Hosts = None,
    cluster: Cluster = None,
    namespace: Namespace = None,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """States, rates and latencies per group of probes."""
    client = _client(host, token_file)
    params = _params(by=by, window=window, cluster=cluster, namespace=namespace)
    tags = [tag.strip() for tag in by.split(",") if tag.strip()]

    def look() -> int:
        answers = client.get("/groups", params)
        items = _items(answers)
        if output in {Form.json, Form.yaml}:
            write_document(output, {"items": items})
        elif output is Form.name:
            for item in items:
                typer.echo("/".join(item["tags"].get(tag, "") for tag in tags))
        else:
            from meshkit_fastprobe.cli import tables

            console = tables.console()
            console.print(tables.group_table(items, tags, width=console.width, hosts=len(client.hosts) > 1))
        return _code(answers, items)

    return _repeat(look, watch=watch)


def probes_list(
    host: Hosts = None,
    cluster: Cluster = None,
    namespace: Namespace = None,
    state: StateFilter = None,
    kind: Kind = None,
    label: Labels = None,
    name: NameGlob = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many of each host.")] = 100,
    page_token: Annotated[str | None, typer.Option("--page-token", help="Go on where an earlier listing ended.")] = None,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """Probes, filtered and paged. Exit 1 when one of them is unhealthy."""
    client = _client(host, token_file)
    params = _params(cluster=cluster, namespace=namespace, state=state, kind=kind, name=name, page_token=page_token)
    params += [("label", one) for one in label or []]

    def look() -> int:
        answers = client.get_all("/probes", params, limit)
        items = _items(answers)
        if output in {Form.json, Form.yaml}:
            next_token = next(
                (
                    answer.envelope["nextPageToken"]
                    for answer in answers
                    if answer.envelope and "nextPageToken" in answer.envelope
                ),
                None,
            )
            write_document(
                output, {"items": items} | ({"nextPageToken": next_token} if next_token and len(answers) == 1 else {})
            )
        elif output is Form.name:
            for item in items:
                typer.echo(item["name"])
        else:
            from meshkit_fastprobe.cli import tables

            console = tables.console(wide=output is Form.wide)
            several = len(client.hosts) > 1
            console.print(tables.probe_table(items, time.time(), width=console.width, wide=output is Form.wide, hosts=several))
            if any(answer.envelope and "nextPageToken" in answer.envelope for answer in answers):
                typer.echo(
                    f"... the first {limit} of each host; see more with --limit, or narrow with --namespace, --state, --name",
                    err=True,
                )
        return _code(answers, items)

    return _repeat(look, watch=watch)


def probes_show(
    name: Annotated[str, typer.Argument(help="The probe's name.")],
    host: Hosts = None,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """Everything about one probe, with its last results."""
    client = _client(host, token_file)

    def look() -> int:
        answers = client.get(probe_path(name), [])
        items = _items(answers, key="item")
        if output in {Form.json, Form.yaml}:
            write_document(output, items[0] if len(items) == 1 else {"items": items})
        elif output is Form.name:
            typer.echo(name)
        else:
            from meshkit_fastprobe.cli import explained, tables

            console = tables.console()
            for item in items:
                console.print(tables.probe_details(item, time.time()))
                console.print()
                console.print(tables.recent_table(item, time.time()))
                if item.get("failures"):
                    console.print()
                    console.print(explained.failures_table(item["failures"], time.time()))
        return _code(answers, items)

    return _repeat(look, watch=watch)


def _show_status(groups: Sequence[Any], bad: Sequence[Sequence[Any]], output: Form) -> int:
    codes = {answer.code for answer in groups}
    if codes == {Exit.REFUSED} and len(groups) == 1:
        raise CliError(groups[0].problem, groups[0].next_step, Exit.REFUSED)
    rows = [_host_row(answer) for answer in groups]
    worst = [item for answers in bad for item in _items(answers, raise_alone=False, several=len(groups) > 1)]
    if output in {Form.json, Form.yaml}:
        write_document(output, {"hosts": rows, "worst": worst})
    elif output is Form.name:
        for item in worst:
            typer.echo(item["name"])
    else:
        from meshkit_fastprobe.cli import tables

        console = tables.console()
        console.print(tables.host_table(rows, width=console.width))
        if worst:
            console.print()
            console.print(tables.probe_table(worst[:STATUS_WORST], time.time(), width=console.width, hosts=len(groups) > 1))
    unhealthy = any(row.get("states", {}).get("unhealthy") for row in rows)
    return _worst_code(codes, unhealthy=unhealthy)


def _host_row(answer: Any) -> dict[str, Any]:
    if answer.envelope is None:
        return {"host": answer.url, "problem": answer.problem}
    totals: dict[str, Any] = {"host": answer.host, "probes": 0, "states": {}, "stale": 0, "ratePerSecond": 0.0}
    for item in answer.envelope["items"]:
        totals["probes"] += item["probes"]
        totals["stale"] += item.get("stale", 0)
        totals["ratePerSecond"] += item.get("ratePerSecond") or 0.0
        for state, n in item["states"].items():
            totals["states"][state] = totals["states"].get(state, 0) + n
    return totals


def _items(
    answers: Sequence[Any], *, key: str = "items", raise_alone: bool = True, several: bool | None = None
) -> list[dict[str, Any]]:
    """All items of all hosts, each knowing its host. A failed host is told on stderr, or ends the command when it is alone.

    several: whether more hosts were asked, where these are not all the answers.
    """
    several = len(answers) > 1 if several is None else several
    items: list[dict[str, Any]] = []
    for answer in answers:
        if answer.envelope is None:
            if len(answers) == 1 and raise_alone:
                raise CliError(answer.problem, answer.next_step, answer.code)
            if raise_alone:
                typer.echo(f"{answer.url}: {answer.problem}", err=True)
            continue
        found = answer.envelope[key]
        listed = found if isinstance(found, list) else [found]
        items += [{**item, "_host": answer.host} for item in listed] if several else listed
    return items


def _code(answers: Sequence[Any], items: Sequence[dict[str, Any]]) -> int:
    unhealthy = any(item.get("state") == "unhealthy" or item.get("states", {}).get("unhealthy") for item in items)
    return _worst_code({answer.code for answer in answers}, unhealthy=unhealthy)


def _worst_code(codes: set[Exit], *, unhealthy: bool) -> int:
    for code in (Exit.REFUSED, Exit.UNREACHABLE, Exit.USAGE):
        if code in codes:
            return code
    return Exit.UNHEALTHY if unhealthy else Exit.WELL


def _client(hosts: list[str] | None, token_file: Path | None) -> Any:
    from meshkit_fastprobe.cli.client import Client

    return Client(hosts or [], token_file)


def probe_path(name: str) -> str:
    """Where a probe is asked for. "." and ".." are written out: as they are, they are steps in the path."""
    quoted = quote(name, safe="")
    return "/probes/" + (quoted if quoted.strip(".") else quoted.replace(".", "%2E"))


def _params(**filters: str | None) -> list[tuple[str, str]]:
    return [(key, value) for key, value in filters.items() if value is not None]


def _repeat(look: Callable[[], int], *, watch: bool) -> int:
    """Once, or again and again on a cleared screen until interrupted."""
    if not watch:
        return look()
    from meshkit_fastprobe.cli import tables

    console = tables.console()
    code = 0
    try:
        while True:
            with console.screen() if console.is_terminal else _nothing():
                while True:
                    if console.is_terminal:
                        console.clear()
                    code = look()
                    time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        return code


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()
