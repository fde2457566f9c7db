"""Tables of experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from meshkit_fastprobe.cli import words
from meshkit_fastprobe.cli.tables import Item, bare_table, fitted

_PHASES = {
    "injecting": ("▶", "bold red"),
    "active": ("▶", "bold red"),
    "reverting": ("◀", "yellow"),
    "recovering": ("◀", "yellow"),
    "completed": ("●", "green"),
    "no_effect": ("○", "bright_black"),
    "aborted": ("▲", "yellow"),
    "orphan_reverted": ("▲", "yellow"),
    "revert_failed": ("✖", "bold red reverse"),
    "awaiting_approval": ("?", "cyan"),
    "prepared": ("?", "cyan"),
}
"""Shape first, colour second; the word follows."""


_EXPERIMENTS_FROM = {"WHY": 100, "TARGETS": 64, "FAULT": 48, "HOST": 48}
_FAULTS_FROM = {"WAYS HERE": 190, "KEYS": 100, "WHAT IT DOES": 48}
_RUNS_FROM = {"WHY": 130, "BY": 110, "FAULT": 80, "SEEN IN": 60, "WELL IN": 60, "HOST": 60}
_OBJECTS_FROM = {"RESOURCES": 90, "FAULT": 60, "RUN": 60, "HOST": 60}
_MEASURES_FROM = {"SAMPLES": 66, "GIVE OR TAKE": 58, "PROBES": 48}
"""From which width of a terminal on each column is shown; `-o wide` shows all."""


def experiment_table(items: Sequence[Item], now: float, *, width: int, hosts: bool = False) -> Table:
    table = _started(hosts)
    for name in ("EXPERIMENT", "FAULT", "PHASE"):
        table.add_column(name, no_wrap=True)
    table.add_column("LEFT", justify="right", no_wrap=True)
    table.add_column("TARGETS", overflow="fold")
    table.add_column("WHY", overflow="fold")
    for item in items:
        run = item.get("run") or {}
        targets = ", ".join(run.get("plan", {}).get("targets", [])) or item.get("says", "")
        table.add_row(
            *_host(item, hosts), item["id"], item["fault"], phase(item["phase"]), left(run, now), targets, run.get("why", "")
        )
    return fitted(table, width, _EXPERIMENTS_FROM)


def fault_table(items: Sequence[Item], _now: float, *, width: int, hosts: bool = False) -> Table:
    table = _started(hosts)
    for name in ("FAULT", "SWITCHED", "KEYS"):
        table.add_column(name, no_wrap=name != "KEYS", overflow="fold")
    table.add_column("WHAT IT DOES", overflow="fold")
    table.add_column("WAYS HERE", overflow="fold")
    for item in items:
        needs = set(item.get("needs", []))
        keys = ", ".join(f"{key}*" if key in needs else key for key in item.get("keys", []))
        switched = Text("on", style="green") if item["enabled"] else Text("off", style="yellow")
        table.add_row(*_host(item, hosts), item["kind"], switched, keys, item["says"], _ways(item))
    return fitted(table, width, _FAULTS_FROM)


def _ways(item: Item) -> Text:
    """A line each: shape first, colour second."""
    told = Text()
    for way in item.get("ways", []):
        mark, style = ("●", "green") if way["available"] else ("○", "yellow")
        told.append("\n" if told else "").append(f"{mark} {way['name']}", style=style).append(f": {way['reason']}")
    return told


def run_table(items: Sequence[Item], now: float, *, width: int, hosts: bool = False) -> Table:
    table = _started(hosts)
    table.add_column("RUN", no_wrap=True)
    table.add_column("AGO", justify="right", no_wrap=True)
    table.add_column("FAULT", no_wrap=True)
    table.add_column("CAME TO", no_wrap=True)
    table.add_column("SEEN IN", justify="right", no_wrap=True)
    table.add_column("WELL IN", justify="right", no_wrap=True)
    table.add_column("BY", no_wrap=True, overflow="ellipsis", max_width=32)
    table.add_column("WHY", overflow="fold")
    for item in items:
        measures = item.get("measures", [])
        begun = item["moves"][0]["at"] if item["moves"] else None
        table.add_row(
            *_host(item, hosts),
            item["id"],
            words.since(begun, now),
            item["plan"]["fault"],
            phase(item["phase"]),
            _longest(measures, "detectionSeconds"),
            _longest(measures, "recoverySeconds"),
            item.get("activatedBy") or item["requestedBy"],
            item.get("why", ""),
        )
    return fitted(table, width, _RUNS_FROM)


def object_table(items: Sequence[Item], _now: float, *, width: int, hosts: bool = False) -> Table:
    table = _started(hosts)
    for name in ("MARK", "FAULT", "STATE", "RUN"):
        table.add_column(name, no_wrap=True)
    table.add_column("RESOURCES", overflow="fold")
    for item in items:
        state = Text(item["state"], style="green" if item["state"] == "held" else "bold red")
        table.add_row(
            *_host(item, hosts), item["mark"], item["fault"], state, item.get("run", "-"), ", ".join(item["resources"])
        )
    return fitted(table, width, _OBJECTS_FROM)


def plan_table(item: Item) -> Table:
    """Exactly what is hashed, in words."""
    run, plan = item["run"], item["run"]["plan"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("experiment", f"{item['id']}: {item['says']}" if item.get("says") else item["id"])
    table.add_row("fault", f"{plan['fault']}, {_told(item['parameters'])}")
    if not item.get("backings"):  # which are told when it is prepared
        table.add_row("by", plan["backend"])
    for way in item.get("backings", []):
        chosen = "chosen" if way["name"] == plan["backend"] else "could be" if way["usable"] else "cannot be"
        table.add_row("by", f"{way['name']} ({chosen}): {way['why']}")
    table.add_row("hurts", "\n".join(plan["targets"]))
    table.add_row("for", words.age(plan["durationSeconds"]))
    if item.get("steadyState"):
        table.add_row("ends early if", f"not {_told(item['steadyState'])}")
    for group, share in run.get("remaining", {}).items():
        table.add_row("at worst", f"{share:.0%} of {group} stay up")
    table.add_row("undone by hand", plan["manual"])
    table.add_row("plan", plan["id"])
    return table


def experiment_parts(item: Item, now: float, *, width: int) -> Iterator[RenderableType]:
    head = Text(item["id"], style="bold").append("  ").append_text(phase(item["phase"]))
    yield head
    run = item.get("run")
    if run is None:
        yield Text(
            f"{item['fault']}, {_told(item['parameters'])}, for {words.age(item['durationSeconds'])}; it has not run yet"
        )
        return
    if run.get("why"):
        yield Text(run["why"])
    yield Text()
    yield plan_table(item)
    yield Text()
    yield _moves(run, now)
    if run.get("effect"):
        touched = run["effect"].get("touched")
        yield Text(f"\neffect: {run['effect']['told']}" + ("" if touched is None else f"; touched {touched:,}"))
    if run.get("measures"):
        yield Text()
        yield _measures(run["measures"], width)


def phase(word: str) -> Text:
    mark, style = _PHASES.get(word, ("·", ""))
    return Text(f"{mark} {word.replace('_', ' ')}", style=style)


def left(run: Item, now: float) -> str:
    """Until a fault ends by itself."""
    if run.get("phase") != "active" or not run.get("endsAt"):
        return "-"
    return words.age(max(0.0, words.seconds_of(run["endsAt"]) - now))


def _moves(run: Item, now: float) -> Table:
    table = bare_table()
    table.add_column("AGO", justify="right", no_wrap=True)
    table.add_column("STEP", no_wrap=True)
    table.add_column("WHY", overflow="fold")
    for move in run["moves"]:
        table.add_row(words.since(move["at"], now), phase(move["phase"]), move.get("why", ""))
    return table


def _measures(measures: Sequence[Item], width: int) -> Table:
    table = bare_table()
    table.add_column("GROUP", no_wrap=True)
    for name in ("PROBES", "HURT", "SEEN IN", "WELL IN", "GIVE OR TAKE", "SAMPLES"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in measures:
        table.add_row(
            one["group"],
            str(one["probes"]),
            str(one["hurt"]),
            words.latency(one.get("detectionSeconds")),
            words.latency(one.get("recoverySeconds")),
            words.latency(one["errorSeconds"]),
            str(one["samples"]),
        )
    return fitted(table, width, _MEASURES_FROM)


def _started(hosts: bool) -> Table:
    table = bare_table()
    if hosts:
        table.add_column("HOST", no_wrap=True, overflow="ellipsis", max_width=16)
    return table


def _host(item: Item, hosts: bool) -> list[Any]:
    return [item["_host"]] if hosts else []


def _longest(measures: Sequence[Item], key: str) -> str:
    known = [one[key] for one in measures if one.get(key) is not None]
    return words.latency(max(known)) if known else "-"


def _told(values: Item) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value not in (None, "", [], {}))
