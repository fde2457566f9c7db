"""Verbs that look: groups, probes list, probes show. All of them take several hosts; what verbs share stands here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.sorting import GroupSort, ProbeSort, sort_groups, sort_probes
from meshkit_fastprobe.cli.watching import repeat

Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", help="Host to ask, as URL; or @FILE with one a line. Repeatable. Default http://127.0.0.1:9464."),
]
Fleet = Annotated[bool, typer.Option("--fleet", help="Ask the whole fleet: all hosts that the first of these to answer knows.")]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="File with the bearer token (or set FASTPROBE_TOKEN).")]
Output = Annotated[Form, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Stay and redraw every two seconds.")]
Cluster = Annotated[str | None, typer.Option("--cluster", help="Only this cluster.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace.")]
StateFilter = Annotated[str | None, typer.Option("--state", help="unknown, healthy, degraded, unhealthy or paused.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only this probe kind.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="k=v; repeatable, all must match.")]
NameGlob = Annotated[str | None, typer.Option("--name", help="Only names that match this glob.")]

MAX_SORTED = 100_000
"""Probes of each host that are fetched to be sorted: the worst ones may be the last by name."""


def groups(
    by: Annotated[
        str, typer.Option("--by", help="Tags to group by, comma separated: cluster, namespace, kind, any label.")
    ] = "cluster,namespace",
    window: Annotated[str | None, typer.Option("--window", help="1m, 5m or 1h; without it, since the start.")] = None,
    sort: Annotated[GroupSort, typer.Option("--sort", help="Which come first: by name, or the worst.")] = GroupSort.name,
    host: Hosts = None,
    fleet: Fleet = False,
    cluster: Cluster = None,
    namespace: Namespace = None,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """States, rates and latencies per group of probes."""
    client = _client(host, token_file, fleet=fleet)
    params = _params(by=by, window=window, cluster=cluster, namespace=namespace)
    tags = [tag.strip() for tag in by.split(",") if tag.strip()]

    def look() -> int:
        answers = client.get("/groups", params)
        items = sort_groups(_items(answers, rows=True), sort)
        if output in {Form.json, Form.yaml}:
            write_document(output, {"items": items} | problems_of(answers))
        elif output is Form.name:
            tell_problems(answers)
            for item in items:
                typer.echo("/".join(item["tags"].get(tag, "") for tag in tags))
        else:
            from meshkit_fastprobe.cli import tables

            console = tables.console(wide=output is Form.wide)
            console.print(tables.group_table(items, tags, width=console.width, hosts=len(client.hosts) > 1))
            if silent := _problem_rows(answers):
                console.print(tables.problem_lines(silent))
        return _code(answers, items)

    return repeat(look, watch=watch)


def probes_list(
    host: Hosts = None,
    fleet: Fleet = False,
    cluster: Cluster = None,
    namespace: Namespace = None,
    state: StateFilter = None,
    kind: Kind = None,
    label: Labels = None,
    name: NameGlob = None,
    sort: Annotated[
        ProbeSort, typer.Option("--sort", help="Which come first: by name, or the worst of all hosts together.")
    ] = ProbeSort.name,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many of each host; sorted, of all together.")
    ] = 100,
    page_token: Annotated[str | None, typer.Option("--page-token", help="Go on where an earlier listing ended.")] = None,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """Probes, filtered and paged. Exit 1 when one of them is unhealthy."""
    client = _client(host, token_file, fleet=fleet)
    if page_token is not None and (len(client.hosts) > 1 or sort is not ProbeSort.name):
        raise CliError(
            "--page-token belongs to one host, and to its order by name", "leave it out, or ask for more with --limit"
        )
    params = _params(cluster=cluster, namespace=namespace, state=state, kind=kind, name=name, page_token=page_token)
    params += [("label", one) for one in label or []]

    def look() -> int:
        from meshkit_fastprobe.cli.progress import counting

        with counting(client, "probes"):
            answers = client.get_all("/probes", params, limit if sort is ProbeSort.name else MAX_SORTED)
        items = _items(answers, rows=True)
        shown = items if sort is ProbeSort.name else sort_probes(items, sort)[:limit]
        _show_probes(answers, shown, output, more=len(shown) < len(items) or any(_next_token(one) for one in answers))
        return _code(answers, items)

    return repeat(look, watch=watch)


def _show_probes(answers: Sequence[Any], items: list[dict[str, Any]], output: Form, *, more: bool) -> None:
    token = _next_token(answers[0]) if len(answers) == 1 else None
    if output in {Form.json, Form.yaml}:
        write_document(output, {"items": items} | problems_of(answers) | ({"nextPageToken": token} if token else {}))
        return
    if output is Form.name:
        tell_problems(answers)
        for item in items:
            typer.echo(item["name"])
        return
    from meshkit_fastprobe.cli import tables

    wide = output is Form.wide
    console = tables.console(wide=wide)
    rows = items + _problem_rows(answers)
    console.print(tables.probe_table(rows, time.time(), width=console.width, wide=wide, hosts=len(answers) > 1))
    if more:
        go_on = f", go on with --page-token {token}" if token else ""
        typer.echo(
            f"... {len(items):,} shown, there are more: --limit{go_on}, or narrow with --namespace, --state, --name", err=True
        )


def _next_token(answer: Any) -> str | None:
    return answer.envelope.get("nextPageToken") if answer.envelope else None


def probes_show(
    name: Annotated[str, typer.Argument(help="The probe's name.")],
    host: Hosts = None,
    fleet: Fleet = False,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """Everything about one probe, with its last results."""
    client = _client(host, token_file, fleet=fleet)

    def look() -> int:
        answers = client.get(probe_path(name), [])
        items = _items(answers, key="item")
        if output in {Form.json, Form.yaml}:
            write_document(output, items[0] if len(client.hosts) == 1 else {"items": items} | problems_of(answers))
        elif output is Form.name:
            for _ in items[:1]:
                typer.echo(name)
        else:
            from meshkit_fastprobe.cli import explained, tables

            console = tables.console(wide=output is Form.wide)
            for item in items:
                if "_host" in item:
                    console.print(tables.title(f"on {item['_host']}"))
                console.print(tables.probe_details(item, time.time()))
                console.print()
                console.print(tables.recent_table(item, time.time()))
                if item.get("failures"):
                    console.print()
                    console.print(explained.failures_table(item["failures"], time.time()))
        return _code(answers, items)

    return repeat(look, watch=watch)


def _items(answers: Sequence[Any], *, key: str = "items", raise_alone: bool = True, rows: bool = False) -> list[dict[str, Any]]:
    """All items of all hosts, each knowing its host. A failed host ends the command when it is alone, else is told on stderr.

    rows: the caller shows those that failed among its rows. raise_alone False: they have been told already.
    """
    several = len(answers) > 1
    items: list[dict[str, Any]] = []
    if raise_alone and not several and answers[0].envelope is None:
        raise CliError(answers[0].problem, answers[0].next_step, answers[0].code)
    if raise_alone and not rows:
        tell_problems(answers)
    for answer in answers:
        if answer.envelope is not None:
            found = answer.envelope[key]
            listed = found if isinstance(found, list) else [found]
            items += [{**item, "_host": answer.host} for item in listed] if several else listed
    return items


def tell_problems(answers: Sequence[Any]) -> None:
    """Hosts without an answer, each as an error is told, where there is no table for them."""
    for answer in answers:
        if answer.envelope is None:
            typer.echo(f"{answer.url}: {answer.problem}", err=True)
            if answer.next_step:
                typer.echo(f"  -> {answer.next_step}", err=True)


def problems_of(answers: Sequence[Any]) -> dict[str, Any]:
    """For documents: the hosts without an answer, when there are any."""
    found = [
        {"host": answer.url, "problem": answer.problem, "hint": answer.next_step}
        for answer in answers
        if answer.envelope is None
    ]
    return {"problems": found} if found else {}


def _problem_rows(answers: Sequence[Any]) -> list[dict[str, Any]]:
    silent = [answer for answer in answers if answer.envelope is None]
    return [{"_host": answer.url.removeprefix("http://"), "problem": answer.problem} for answer in silent]


def _code(answers: Sequence[Any], items: Sequence[dict[str, Any]]) -> int:
    unhealthy = any(item.get("state") == "unhealthy" or item.get("states", {}).get("unhealthy") for item in items)
    return _worst_code({answer.code for answer in answers}, unhealthy=unhealthy)


def _worst_code(codes: set[Exit], *, unhealthy: bool) -> int:
    for code in (Exit.REFUSED, Exit.UNREACHABLE, Exit.USAGE):
        if code in codes:
            return code
    return Exit.UNHEALTHY if unhealthy else Exit.WELL


def _client(hosts: list[str] | None, token_file: Path | None, *, fleet: bool = False) -> Any:
    from meshkit_fastprobe.cli.client import Client

    return Client(hosts or [], token_file, fleet=fleet)


def probe_path(name: str) -> str:
    """Where a probe is asked for. "." and ".." are written out: as they are, they are steps in the path."""
    quoted = quote(name, safe="")
    return "/probes/" + (quoted if quoted.strip(".") else quoted.replace(".", "%2E"))


def _params(**filters: str | None) -> list[tuple[str, str]]:
    return [(key, value) for key, value in filters.items() if value is not None]
