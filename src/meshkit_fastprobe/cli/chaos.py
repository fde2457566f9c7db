"""Verbs of experiments. Starting shows the plan and asks; stopping asks nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from meshkit_fastprobe.cli import pipes
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.reading import Fleet, Hosts, Output, TokenFile, Watch, _client, _code, _items, _params, problems_of
from meshkit_fastprobe.cli.watching import repeat
from meshkit_fastprobe.cli.wire import DOING_S
from meshkit_fastprobe.cli.writing import DryRun

Id = Annotated[str, typer.Argument(help="The experiment's id.", metavar="ID")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")]
Ticket = Annotated[str, typer.Option("--ticket", help="The ticket it belongs to.")]


def faults(host: Hosts = None, fleet: Fleet = False, output: Output = Form.table, token_file: TokenFile = None) -> int:
    """What may be injected, and whether it is switched on; wide: the ways there are here, and why not the others."""
    client = _client(host, token_file, fleet=fleet)
    answers = client.get("/chaos/faults", [])
    _show(_items(answers), output, "fault_table", key="kind", several=len(client.hosts) > 1, answers=answers)
    return _code(answers, [])


def experiments(
    host: Hosts = None, fleet: Fleet = False, output: Output = Form.table, watch: Watch = False, token_file: TokenFile = None
) -> int:
    """Experiments, and where each stands. Exit 1 when a fault could not be undone."""
    client = _client(host, token_file, fleet=fleet)

    def look() -> int:
        answers = client.get("/chaos/experiments", [])
        items = _items(answers)
        _show(items, output, "experiment_table", key="id", several=len(client.hosts) > 1, answers=answers)
        return max(_code(answers, []), _stuck(items))

    return repeat(look, watch=watch)


def show(
    name: Id,
    host: Hosts = None,
    fleet: Fleet = False,
    output: Output = Form.table,
    watch: Watch = False,
    token_file: TokenFile = None,
) -> int:
    """One experiment: its newest run step by step, and what was measured."""
    client = _client(host, token_file, fleet=fleet)

    def look() -> int:
        answers = client.get(_path(name), [])
        items = _items(answers, key="item")
        _show_each(items, output)
        return max(_code(answers, []), _stuck(items))

    return repeat(look, watch=watch)


def prepare(
    name: Id,
    reason: Reason = "",
    ticket: Ticket = "",
    dry_run: DryRun = False,
    host: Hosts = None,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """Show exactly what would be done, and hand out the token that confirms it. Changes nothing."""
    client = _one(_client(host, token_file))
    if dry_run:
        return _only_shown(client, name, "prepare", {"reason": reason, "ticket": ticket})
    item = _prepared(client, name, reason, ticket)
    if output in {Form.json, Form.yaml}:
        write_document(output, item)
        return Exit.WELL
    _show_plan(item)
    confirmation = item["confirmation"]
    plan_id = confirmation["planId"]
    if item["phase"] == "awaiting_approval":
        typer.echo(f"\nsomebody else approves it with: fastprobe chaos approve {name} --plan {plan_id}")
    typer.echo(
        f"\nwithin {confirmation['expiresSeconds']:.0f} s: fastprobe chaos activate {name} --token {confirmation['token']}"
    )
    return Exit.WELL


def approve(
    name: Id,
    plan: Annotated[str, typer.Option("--plan", help="The id of the plan that you looked at.")],
    reason: Reason = "",
    dry_run: DryRun = False,
    host: Hosts = None,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """Be the second person: say yes to a plan that somebody else prepared."""
    client = _one(_client(host, token_file))
    if dry_run:
        [item] = _items(client.get(_path(name), []), key="item")
        if item["phase"] != "awaiting_approval" or item["run"]["plan"]["id"] != plan:
            next_step = f"look at the plan that it has now: fastprobe chaos show {name} -o json"
            raise CliError(f"{name} is {item['phase']}: plan {plan} does not wait for a second person", next_step, Exit.REFUSED)
        typer.echo(f"would approve plan {plan} of {name}, which is {item['phase']}")
        return Exit.WELL
    items = _items(client.post(f"{_path(name)}:approve", body={"planId": plan, "reason": reason}), key="item")
    _show(items, output, "experiment_table", key="id", several=False)
    return Exit.WELL


def activate(
    name: Id,
    token: Annotated[str, typer.Option("--token", help="From `prepare`; without it, this prepares, shows and asks.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; the plan is confirmed all the same.")] = False,
    reason: Reason = "",
    ticket: Ticket = "",
    dry_run: DryRun = False,
    host: Hosts = None,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """Inject the fault of an experiment, once you have seen and confirmed the plan."""
    client = _one(_client(host, token_file))
    body = {"token": token, "reason": reason, "ticket": ticket}
    if dry_run:
        return _only_shown(client, name, "activate", body)
    if not token:
        item = _prepared(client, name, reason, ticket)
        if output not in {Form.json, Form.yaml}:
            with pipes.needed("the plan"):
                _show_plan(item)
        if not yes:
            _ask(item["_host"] if "_host" in item else _host_of(client))
        body["token"] = item["confirmation"]["token"]
    items = _items(client.post(f"{_path(name)}:activate", body=body, answer_s=DOING_S), key="item")
    _show(items, output, "experiment_table", key="id", several=False)
    return _stuck(items)


def stop(
    name: Id,
    reason: Reason = "",
    dry_run: DryRun = False,
    host: Hosts = None,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """End a run, or take back what was prepared; returns once the fault is gone."""
    client = _client(host, token_file)
    if dry_run:
        answers = client.get(_path(name), [])
        for item in _items(answers, key="item"):
            typer.echo(f"would {'stop' if _would_end(item) else 'find nothing to stop of'} {_as_it_stands(item)}")
        return _code(answers, [])
    answers = client.post(f"{_path(name)}:stop", body={"reason": reason}, answer_s=DOING_S)
    items = _items(answers, key="item")
    _show(items, output, "experiment_table", key="id", several=len(client.hosts) > 1, answers=answers)
    return max(_code(answers, []), _stuck(items))


def halt(
    reason: Reason = "",
    dry_run: DryRun = False,
    host: Hosts = None,
    fleet: Fleet = False,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """End every run at once, and let nothing start until `chaos resume`. Asks nothing."""
    client = _client(host, token_file, fleet=fleet)
    if dry_run:
        answers = client.get("/chaos/experiments", [])
        ending = [item for item in _items(answers) if _would_end(item)]
        typer.echo(f"would halt all chaos on {', '.join(client.hosts)}, and end {len(ending)} runs")
        for item in ending:
            typer.echo(f"  {_as_it_stands(item)}")
        return _code(answers, [])
    answers = client.post("/chaos:halt", body={"reason": reason}, answer_s=DOING_S)
    items = _items(answers, key="item")
    if output in {Form.json, Form.yaml}:
        write_document(output, items[0] if len(items) == 1 else {"items": items})
    else:
        for item in items:
            where = f" on {item['_host']}" if "_host" in item else ""
            typer.echo(f"all chaos is halted{where}; {len(item['runs'])} runs were ended")
            for run in item["runs"]:
                typer.echo(f"  {run['id']}: {run['phase']}" + (f": {run['why']}" if run["phase"] == "revert_failed" else ""))
    return max(_code(answers, []), _stuck([run for item in items for run in item["runs"]]))


def resume(
    reason: Annotated[str, typer.Option("--reason", help="Why experiments may start again; needed.")],
    dry_run: DryRun = False,
    host: Hosts = None,
    fleet: Fleet = False,
    token_file: TokenFile = None,
) -> int:
    """Let experiments start again after a halt."""
    client = _client(host, token_file, fleet=fleet)
    if dry_run:
        typer.echo(f"would let experiments start again on {', '.join(client.hosts)}")
        return Exit.WELL
    answers = client.post("/chaos:resume", body={"reason": reason})
    for item in _items(answers, key="item"):
        typer.echo("experiments may start again" + (f" on {item['_host']}" if "_host" in item else ""))
    return _code(answers, [])


def history(
    experiment: Annotated[str | None, typer.Option("--experiment", help="Only of this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most this many of each host.")] = 50,
    host: Hosts = None,
    fleet: Fleet = False,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """Runs of now and of the past, newest first: what they came to, and how long detection and recovery took."""
    client = _client(host, token_file, fleet=fleet)
    answers = client.get_all("/chaos/runs", _params(experiment=experiment), limit)
    _show(_items(answers), output, "run_table", key="id", several=len(client.hosts) > 1, answers=answers)
    return _code(answers, [])


def objects(host: Hosts = None, fleet: Fleet = False, output: Output = Form.table, token_file: TokenFile = None) -> int:
    """What carries our mark in the kernel, beside what the journal says. Exit 1 when the two differ."""
    client = _client(host, token_file, fleet=fleet)
    answers = client.get("/chaos/objects", [])
    items = _items(answers)
    _show(items, output, "object_table", key="mark", several=len(client.hosts) > 1, answers=answers)
    return max(_code(answers, []), Exit.UNHEALTHY if any(item["state"] != "held" for item in items) else Exit.WELL)


def receipt(
    run: Annotated[str, typer.Argument(help="The run's id; or a file, with --verify.", metavar="RUN")],
    verify: Annotated[str, typer.Option("--verify", help="Check a receipt's file against this public key (hexadecimal).")] = "",
    host: Hosts = None,
    token_file: TokenFile = None,
) -> int:
    """Print the signed receipt of a run that has ended, or check one. Exit 1 when it does not hold."""
    if verify:
        return _verify(Path(run), verify)
    client = _one(_client(host, token_file))
    for item in _items(client.get(f"/chaos/receipts/{quote(run, safe='')}", []), key="item"):
        write_document(Form.json, item)
    return Exit.WELL


def _verify(path: Path, public_key: str) -> int:
    import msgspec

    from meshkit_fastprobe.chaos.receipts import Receipt
    from meshkit_fastprobe.chaos.receipts import verify as verify_receipt

    try:
        told = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        signed = Receipt(told["content"].encode(), bytes.fromhex(told["signature"]), bytes.fromhex(told["publicKey"]))
        key = bytes.fromhex(public_key)
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise CliError(f"{path}: this is no receipt: {error}", "fastprobe chaos receipt RUN > FILE") from None
    wrong = verify_receipt(signed, key)
    typer.echo("the receipt holds" if wrong is None else f"the receipt does NOT hold: {wrong}")
    return Exit.WELL if wrong is None else Exit.UNHEALTHY


def _prepared(client: Any, name: str, reason: str, ticket: str) -> dict[str, Any]:
    item: dict[str, Any] = _items(client.post(f"{_path(name)}:prepare", body={"reason": reason, "ticket": ticket}), key="item")[
        0
    ]
    return item


def _only_shown(client: Any, name: str, verb: str, body: dict[str, Any]) -> int:
    """What would be injected, refused where the verb would be; the host keeps nothing of it."""
    [item] = _items(client.post(f"{_path(name)}:{verb}", body={**body, "dryRun": True}), key="item")
    _show_plan(item)
    return Exit.WELL


def _would_end(item: dict[str, Any]) -> bool:
    from meshkit_fastprobe.chaos.states import LIVE, WAITING

    return item["phase"] in LIVE | WAITING


def _as_it_stands(item: dict[str, Any]) -> str:
    where = f" on {item['_host']}" if "_host" in item else ""
    return f"{item['id']}{where}, which is {item['phase']}"


def _show_plan(item: dict[str, Any]) -> None:
    from meshkit_fastprobe.cli import chaos_tables, tables

    console = tables.console()
    console.print(chaos_tables.plan_table(item))


def _ask(host: str) -> None:
    """The second yes, typed by a person: the name of the host that will be hurt."""
    if not sys.stdin.isatty():
        raise CliError("nobody is there to confirm the plan", "look at it, then run again with --yes", Exit.REFUSED)
    if typer.prompt(f"\ntype the name of the host to inject it ({host})", default="", show_default=False).strip() != host:
        raise CliError("not confirmed: nothing was injected", "run it again when you are sure", Exit.REFUSED)


def _host_of(client: Any) -> str:
    return str(client.get("/chaos/faults", [])[0].host)


def _one(client: Any) -> Any:
    """Harm is done host by host."""
    if len(client.hosts) != 1:
        raise CliError("an experiment is started on one host at a time", "give one --host", Exit.USAGE)
    return client


def _show(
    items: list[dict[str, Any]], output: Form, table: str, *, key: str, several: bool, answers: Sequence[Any] = ()
) -> None:
    """answers: of which these items are; a document names the hosts that gave none."""
    if output in {Form.json, Form.yaml}:
        write_document(output, {"items": items} | problems_of(answers))
    elif output is Form.name:
        for item in items:
            typer.echo(item[key])
    else:
        from meshkit_fastprobe.cli import chaos_tables, tables

        console = tables.console(wide=output is Form.wide)
        console.print(getattr(chaos_tables, table)(items, time.time(), width=console.width, hosts=several))


def _show_each(items: list[dict[str, Any]], output: Form) -> None:
    if output in {Form.json, Form.yaml}:
        write_document(output, items[0] if len(items) == 1 else {"items": items})
        return
    from meshkit_fastprobe.cli import chaos_tables, tables

    console = tables.console(wide=output is Form.wide)
    for item in items:
        for part in chaos_tables.experiment_parts(item, time.time(), width=console.width):
            console.print(part)


def _stuck(items: list[dict[str, Any]]) -> int:
    return Exit.UNHEALTHY if any(item["phase"] == "revert_failed" for item in items) else Exit.WELL


def _path(name: str) -> str:
    return f"/chaos/experiments/{quote(name, safe='')}"
