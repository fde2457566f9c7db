"""Verbs of the fleet: the hosts that a host knows, and what is wrong on all of them."""

from __future__ import annotations

from typing import Annotated

import typer

from meshkit_fastprobe.cli.exits import Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.reading import Cluster, Hosts, Namespace, Output, TokenFile, Watch, _client
from meshkit_fastprobe.cli.sorting import HostSort
from meshkit_fastprobe.cli.status import status
from meshkit_fastprobe.cli.watching import repeat


def fleet_members(host: Hosts = None, output: Output = Form.table, watch: Watch = False, token_file: TokenFile = None) -> int:
    """The hosts that the first one to answer knows, as it reaches them. -o name: their URLs, as --host @FILE takes them."""
    from meshkit_fastprobe.cli.members import HOW_TO_NAME, first_told, members_of

    client = _client(host, token_file)

    def look() -> int:
        answer = first_told(client, ask=True)
        items = members_of(answer)
        if output in {Form.json, Form.yaml}:
            write_document(output, {"items": items})
        elif output is Form.name:
            for item in items:
                typer.echo(item["url"])
        else:
            from meshkit_fastprobe.cli import tables

            console = tables.console(wide=output is Form.wide)
            console.print(tables.member_table(items, width=console.width))
        if len(items) == 1:
            typer.echo(f"{answer.host} knows no other hosts; name them with {HOW_TO_NAME}", err=True)
        return Exit.UNREACHABLE if any("problem" in item for item in items) else Exit.WELL

    return repeat(look, watch=watch)


def fleet_status(
    host: Hosts = None,
    cluster: Cluster = None,
    namespace: Namespace = None,
    sort: Annotated[HostSort, typer.Option("--sort", help="Which hosts come first.")] = HostSort.name,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """One row a host of the fleet, and what is wrong right now, worst first; as `status --fleet`."""
    return status(
        host, fleet=True, cluster=cluster, namespace=namespace, sort=sort, output=output, watch=watch, token_file=token_file
    )
