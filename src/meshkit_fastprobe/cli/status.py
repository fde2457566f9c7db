"""`fastprobe status`: one row a host, and what is wrong right now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.reading import (
    Cluster,
    Fleet,
    Hosts,
    Namespace,
    Output,
    TokenFile,
    Watch,
    _client,
    _params,
    _worst_code,
)
from meshkit_fastprobe.cli.sorting import HostSort, ProbeSort, sort_hosts, sort_probes
from meshkit_fastprobe.cli.watching import repeat

WORST: Final = 15
"""Probes that are shown, of all hosts together."""
SICK: Final = ("unhealthy", "degraded")


def status(
    host: Hosts = None,
    fleet: Fleet = False,
    cluster: Cluster = None,
    namespace: Namespace = None,
    sort: Annotated[HostSort, typer.Option("--sort", help="Which hosts come first.")] = HostSort.name,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """One row a host, and what is wrong right now, worst first. Exit 1 when something is unhealthy."""
    client = _client(host, token_file, fleet=fleet)
    where = _params(cluster=cluster, namespace=namespace)

    def look() -> int:
        looks = client.each_at_once(lambda url: _look(client, url, where))
        return _show(looks, output, sort)

    return repeat(look, watch=watch)


def _look(client: Any, url: str, where: list[tuple[str, str]]) -> tuple[Any, list[dict[str, Any]]]:
    """What one host says, and its worst probes; the next question only when the one before says that there are any."""
    answer = client.one(url, "GET", "/groups", [*where, ("window", "1m")])
    worst: list[dict[str, Any]] = []
    for state in SICK if answer.envelope is not None else ():
        if len(worst) < WORST and any(item["states"].get(state) for item in answer.envelope["items"]):
            found = client.pages(url, "/probes", [*where, ("state", state)], WORST)
            worst += found.envelope["items"] if found.envelope is not None else []
    return answer, [{**item, "_host": answer.host} for item in worst] if len(client.hosts) > 1 else worst


def _show(looks: Sequence[tuple[Any, list[dict[str, Any]]]], output: Form, sort: HostSort) -> int:
    answers = [answer for answer, _ in looks]
    codes = {answer.code for answer in answers}
    if codes == {Exit.REFUSED} and len(answers) == 1:
        raise CliError(answers[0].problem, answers[0].next_step, Exit.REFUSED)
    rows = sort_hosts([_host_row(answer) for answer in answers], sort)
    worst = sort_probes([item for _, items in looks for item in items], ProbeSort.state)
    if output in {Form.json, Form.yaml}:
        write_document(output, {"hosts": rows, "worst": worst})
    elif output is Form.name:
        for item in worst:
            typer.echo(item["name"])
    else:
        _show_tables(rows, worst, wide=output is Form.wide)
        if len(answers) == 1 and answers[0].envelope is None:
            typer.echo(f"  -> {answers[0].next_step}", err=True)
    unhealthy = any(row.get("states", {}).get("unhealthy") for row in rows)
    return _worst_code(codes, unhealthy=unhealthy)


def _show_tables(rows: list[dict[str, Any]], worst: list[dict[str, Any]], *, wide: bool) -> None:
    from meshkit_fastprobe.cli import tables

    console = tables.console(wide=wide)
    several = len(rows) > 1
    if several:
        console.print(tables.hosts_line(rows))
    console.print(tables.host_table(rows, width=console.width))
    for row in rows:
        for warning in row.get("warnings", ()):
            typer.echo(f"{row['host']}: {warning}", err=True)
    if worst:
        console.print()
        console.print(tables.probe_table(worst[:WORST], time.time(), width=console.width, wide=wide, hosts=several))


def _host_row(answer: Any) -> dict[str, Any]:
    if answer.envelope is None:
        return {"host": answer.url, "problem": answer.problem}
    totals: dict[str, Any] = {"host": answer.host, "probes": 0, "states": {}, "stale": 0, "ratePerSecond": 0.0}
    if answer.envelope.get("warnings"):
        totals["warnings"] = answer.envelope["warnings"]
    for item in answer.envelope["items"]:
        totals["probes"] += item["probes"]
        totals["stale"] += item.get("stale", 0)
        totals["ratePerSecond"] += item.get("ratePerSecond") or 0.0
        for state, n in item["states"].items():
            totals["states"][state] = totals["states"].get(state, 0) + n
    return totals
