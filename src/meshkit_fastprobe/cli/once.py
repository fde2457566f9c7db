"""`fastprobe once CONFIG`: every probe, one time, and what came of it."""

from __future__ import annotations

import time
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import trio
import typer
from rich.progress import Progress

from meshkit_fastprobe.cli import tables, words
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.items import Item, explanation_item, probe_item
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.errors import SkippedError
from meshkit_fastprobe.loading import load_config
from meshkit_fastprobe.runtime import Diagnostics

MAX_AT_ONCE = 256


async def run_all_once(path: Path) -> list[Item]:
    """Run each probe once, many at a time; items in the order of their names."""
    diag = _quiet(path)
    if not len(diag.catalog):
        raise CliError(f"{path} has no probe to run", "add a [[probe]] table", Exit.USAGE)
    items: dict[str, Item] = {}
    limiter = trio.CapacityLimiter(MAX_AT_ONCE)
    console = tables.console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("probing", total=len(diag.catalog))

        async def run_one(name: str) -> None:
            async with limiter:
                items[name] = await _once(diag, name)
                progress.advance(task)

        async with diag, trio.open_nursery() as nursery:
            for registration in list(diag.catalog):
                nursery.start_soon(run_one, registration.name)
    return [items[name] for name in sorted(items)]


async def explain_once(path: Path, name: str) -> Item:
    """Run one probe of the file, and tell how it went."""
    diag = _quiet(path)
    if name not in diag.catalog.by_name:
        near = get_close_matches(name, diag.catalog.by_name, 1)
        raise CliError(
            f"{path} has no probe named {name!r}",
            f"did you mean {near[0]}?" if near else f"fastprobe config show {path}",
            Exit.USAGE,
        )
    async with diag:
        try:
            return explanation_item(await diag.explain(name))
        except SkippedError as error:
            raise CliError(str(error), "nothing is wrong with the target: try again in a moment", Exit.UNHEALTHY) from None


def _quiet(path: Path) -> Diagnostics:
    """The probes of a file, none of which runs by itself."""
    config = load_config(path)
    diag = Diagnostics.from_config(
        msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, server=None))
    )
    for registration in list(diag.catalog):
        diag.pause(registration.name)
    return diag


async def _once(diag: Diagnostics, name: str) -> Item:
    try:
        item = probe_item(await diag.run_once(name))
    except SkippedError as error:
        item = probe_item(diag.snapshot()[name])
        item["reason"] = error.reason
    # The state of a paused probe is "paused": what one run says of it is the result's word.
    item["state"] = {"ok": "healthy", "degraded": "degraded", None: "unknown"}.get(item.get("result"), "unhealthy")
    return item


def show_once(items: list[Item], form: Form) -> int:
    """Print; the exit code."""
    bad = [item for item in items if item["state"] in {"unhealthy", "unknown"}]
    if form in {Form.json, Form.yaml}:
        write_document(form, {"items": items})
    elif form is Form.name:
        for item in items:
            typer.echo(item["name"])
    else:
        ordered: list[Any] = sorted(items, key=lambda item: (words.SEVERITY[item["state"]], item["name"]))
        console = tables.console(wide=form is Form.wide)
        console.print(tables.probe_table(ordered, time.time(), width=console.width, wide=form is Form.wide))
        typer.echo(f"{len(items) - len(bad)} of {len(items)} pass", err=True)
    return Exit.UNHEALTHY if bad else Exit.WELL
