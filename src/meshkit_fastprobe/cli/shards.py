"""`fastprobe fleet shards`: who probes what, as the hosts themselves answer.

Nothing divides probes among hosts: a shard is what a host holds of a cluster and namespace because it was configured so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.reading import (
    Cluster,
    Hosts,
    Namespace,
    Output,
    TokenFile,
    Watch,
    _client,
    _next_token,
    _params,
    _problem_rows,
    _worst_code,
    problems_of,
    tell_problems,
)
from meshkit_fastprobe.cli.watching import repeat

MAX_PROBES: Final = 100_000
"""Of each host; names beyond these are not compared, which is said."""

Item = dict[str, Any]


def fleet_shards(
    host: Hosts = None,
    cluster: Cluster = None,
    namespace: Namespace = None,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """Who probes what: of each cluster and namespace the hosts that hold its probes, and from how many hosts each is probed."""
    client = _client(host, token_file, fleet=True)
    where = _params(cluster=cluster, namespace=namespace)

    def look() -> int:
        answers = client.get_all("/probes", where, MAX_PROBES)
        codes = {answer.code for answer in answers}
        if codes == {Exit.REFUSED}:
            raise CliError(answers[0].problem, answers[0].next_step, Exit.REFUSED)
        holders = [(answer.host, answer.envelope["items"]) for answer in answers if answer.envelope is not None]
        _show(answers, shards(holders), output)
        for answer in answers:
            if _next_token(answer):
                remark = f"only its first {MAX_PROBES:,} probes are counted; narrow with --cluster, --namespace"
                typer.echo(f"{answer.host}: {remark}", err=True)
        return _worst_code(codes, unhealthy=False)

    return repeat(look, watch=watch)


def shards(holders: Sequence[tuple[str, Sequence[Item]]]) -> list[Item]:
    """One item a cluster and namespace, by name. holders: each host that answered, and its probes.

    A probe is its name, wherever it is held; from how many hosts each is probed is its vantage points.
    """
    groups: dict[tuple[str, str], dict[str, set[str]]] = {}
    for host, items in holders:
        for item in items:
            held = groups.setdefault((item["cluster"], item["namespace"]), {})
            held.setdefault(host, set()).add(item["name"])
    return [_shard(*tags, held) for tags, held in sorted(groups.items())]


def _shard(cluster: str, namespace: str, held: dict[str, set[str]]) -> Item:
    points = Counter(chain.from_iterable(held.values()))
    return {
        "cluster": cluster,
        "namespace": namespace,
        "probes": len(points),
        "hosts": [{"host": host, "probes": len(names)} for host, names in sorted(held.items())],
        "vantagePoints": {"min": min(points.values()), "max": max(points.values())},
    }


def _show(answers: Sequence[Any], items: list[Item], output: Form) -> None:
    if output in {Form.json, Form.yaml}:
        write_document(output, {"items": items} | problems_of(answers))
    elif output is Form.name:
        tell_problems(answers)
        for item in items:
            typer.echo(f"{item['cluster']}/{item['namespace']}")
    else:
        from meshkit_fastprobe.cli import tables

        wide = output is Form.wide
        console = tables.console(wide=wide)
        console.print(tables.shard_table(items, width=console.width, wide=wide))
        if silent := _problem_rows(answers):
            console.print(tables.problem_lines(silent))
