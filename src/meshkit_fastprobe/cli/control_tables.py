"""Tables of toggles and audit records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from meshkit_fastprobe.cli import words
from meshkit_fastprobe.cli.tables import Item, bare_table, fitted

_TOGGLES_FROM = {"WHAT IT DOES": 100, "BY": 72, "SINCE": 48, "HOST": 48}
_AUDIT_FROM = {"MORE": 110, "RECORD": 90, "ON": 80, "WHO": 60, "HOST": 60}
_RESULTS = {"allowed": "green", "denied": "red"}


def toggle_table(items: Sequence[Item], now: float, *, width: int, hosts: bool = False) -> Table:
    """One row a switch: where it stands, who put it there and why, and what the configuration says."""
    table = bare_table()
    if hosts:
        table.add_column("HOST", no_wrap=True, overflow="ellipsis", max_width=16)
    for name in ("TOGGLE", "VALUE"):
        table.add_column(name, no_wrap=True)
    table.add_column("SINCE", justify="right", no_wrap=True)
    table.add_column("BY", no_wrap=True, overflow="ellipsis", max_width=32)
    table.add_column("WHAT IT DOES", overflow="fold")
    for item in items:
        row: list[Any] = [item["_host"]] if hosts else []
        does = item["does"] + (f"; {item['reason']}" if item.get("reason") else "")
        if item.get("ceiling") is not None:
            does += f"; the configuration keeps it at {_said(item['ceiling']).plain}"
        since = words.since(item["changedAt"], now) if item.get("changedAt") else "-"
        table.add_row(*row, item["name"], _said(item["value"]), since, item.get("changedBy") or "-", does)
    return fitted(table, width, _TOGGLES_FROM)


def audit_table(items: Sequence[Item], now: float, *, width: int, hosts: bool = False) -> Table:
    """One row a record, newest first."""
    table = bare_table()
    if hosts:
        table.add_column("HOST", no_wrap=True, overflow="ellipsis", max_width=16)
    table.add_column("RECORD", justify="right", no_wrap=True)
    table.add_column("AGO", justify="right", no_wrap=True)
    table.add_column("WHO", no_wrap=True, overflow="ellipsis", max_width=40)
    table.add_column("RESULT", no_wrap=True)
    table.add_column("ACTION", no_wrap=True)
    table.add_column("ON", overflow="fold")
    table.add_column("MORE", overflow="fold")
    for item in items:
        row: list[Any] = [item["_host"]] if hosts else []
        result = Text(item["result"], style=_RESULTS.get(item["result"], ""))
        told = [item[key] for key in ("detail", "reason", "ticket") if item.get(key)] + (["late"] if item.get("late") else [])
        table.add_row(
            *row,
            str(item["seq"]),
            words.since(item["at"], now),
            item["actor"],
            result,
            item["action"],
            item.get("scope", ""),
            "; ".join(told),
        )
    return fitted(table, width, _AUDIT_FROM)


def _said(value: bool | str) -> Text:
    if isinstance(value, str):
        return Text(value)
    return Text("on", style="green") if value else Text("off", style="yellow")
