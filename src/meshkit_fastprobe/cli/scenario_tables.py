"""Scenarios as people see them: the plan before, the steps meanwhile, what came of it after."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import trio
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meshkit_fastprobe.chaos.scenarios.conducting import Conduct, EndKind
from meshkit_fastprobe.chaos.scenarios.judging import Judged, Verdict
from meshkit_fastprobe.chaos.scenarios.planning import Planned, ScenarioPlan
from meshkit_fastprobe.chaos.scenarios.states import StepPhase
from meshkit_fastprobe.chaos.scenarios.step import StepLife, Undone
from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.cli import chaos_tables, words
from meshkit_fastprobe.cli.tables import bare_table
from meshkit_fastprobe.config.durations import format_duration
from meshkit_fastprobe.scenarios import Objective

_P = StepPhase
_MARKS = {
    _P.WAITING: ("·", "bright_black"),
    _P.RESTING: ("·", "bright_black"),
    _P.CHECKING: ("?", "cyan"),
    _P.APPROVING: ("?", "cyan"),
    _P.STARTING: ("▶", "bold red"),
    _P.RUNNING: ("▶", "bold red"),
    _P.LOOKING: ("◉", "cyan"),
    _P.STOPPING: ("◀", "yellow"),
    _P.PASSED: ("●", "green"),
    _P.FAILED: ("✖", "red"),
    _P.STOPPED: ("■", "yellow"),
    _P.SKIPPED: ("○", "bright_black"),
}
"""Shape first, colour second; the word follows."""
_VERDICTS = {Verdict.MET: ("●", "green"), Verdict.MISSED: ("✖", "red"), Verdict.UNMEASURED: ("○", "yellow")}
_ENDS = {
    EndKind.COMPLETED: ("●", "bold green", "completed"),
    EndKind.FAILED: ("✖", "bold red", "failed"),
    EndKind.REFUSED: ("✖", "bold red", "refused"),
    EndKind.CANCELLED: ("■", "bold yellow", "cancelled"),
    EndKind.HALTED: ("■", "bold yellow", "halted"),
    EndKind.LOST: ("✖", "bold red", "host unreachable"),
    EndKind.TOO_LONG: ("■", "bold yellow", "too long"),
}


# -- before --------------------------------------------------------------------------------------------------------------------


def plan_parts(plan: ScenarioPlan, items: Mapping[str, Mapping[str, Any]]) -> Iterator[RenderableType]:
    """All steps in their order, then the plan of each experiment, then what all of it is judged by."""
    scenario = plan.scenario
    yield Text(scenario.name, style="bold").append(f"  {scenario.says}" if scenario.says else "", style="default")
    yield Text()
    table = bare_table()
    for name in ("WAVE", "STEP", "EXPERIMENT", "AFTER", "WAIT", "FOR"):
        table.add_column(name, no_wrap=True, justify="right" if name in {"WAVE", "WAIT", "FOR"} else "left")
    table.add_column("JUDGED BY", overflow="fold")
    for planned in plan.steps:
        table.add_row(*_planned(planned, items))
    yield table
    for item in items.values():
        yield Text()
        yield chaos_tables.plan_table(dict(item))
    yield Text()
    if scenario.objectives:
        yield Text(f"the whole is judged by: {', '.join(one.title for one in scenario.objectives)}")
    most = max([planned.wave for planned in plan.steps].count(planned.wave) for planned in plan.steps)
    at_once = f", up to {most} at the same time" if most > 1 else ""
    yield Text(f"{len(plan.steps)} steps{at_once}; over within {format_duration(plan.longest_s)}")


def plan_document(plan: ScenarioPlan, items: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The same for programs; without the tokens, which are good for nothing by now."""
    return {
        "scenario": plan.scenario.name,
        "longestSeconds": plan.longest_s,
        "steps": [
            {
                "name": one.step.name,
                "wave": one.wave,
                "experiment": one.step.experiment,
                "needs": list(one.step.needs),
                "earliestSeconds": one.begins_s,
                "latestEndSeconds": one.ends_s,
                "objectives": [objective.title for objective in one.step.objectives],
            }
            for one in plan.steps
        ],
        "objectives": [objective.title for objective in plan.scenario.objectives],
        "plans": [{"experiment": name, **item["run"]["plan"]} for name, item in items.items()],
    }


def _planned(planned: Planned, items: Mapping[str, Mapping[str, Any]]) -> list[str]:
    step = planned.step
    item = items.get(step.experiment or "")
    lasts = [] if item is None else [format_duration(item["durationSeconds"])]
    if step.hold_s:
        lasts.append(format_duration(step.hold_s))
    return [
        str(planned.wave + 1),
        step.name,
        step.experiment or "only look",
        ", ".join(step.needs) or "-",
        format_duration(step.wait_s) if step.wait_s else "-",
        " + ".join(lasts),
        ", ".join(one.title for one in step.objectives) or "-",
    ]


# -- meanwhile -----------------------------------------------------------------------------------------------------------------


def progress(conduct: Conduct, now_s: float) -> RenderableType:
    """now_s: on trio's clock."""
    steps = bare_table()
    for name in ("STEP", "STATE", "LEFT", "EXPERIMENT"):
        steps.add_column(name, no_wrap=True, justify="right" if name == "LEFT" else "left")
    steps.add_column("JUDGED BY", overflow="fold")
    steps.add_column("WHY", overflow="fold", ratio=1)
    for planned in conduct.plan.steps:
        life = conduct.lives[planned.step.name]
        judged = [_seen(one, so_far=not life.is_over) for one in life.judged()] if life.began_at is not None else []
        steps.add_row(
            life.step.name,
            _state(life),
            words.age(left_s) if (left_s := left(life, now_s)) is not None else "-",
            life.step.experiment or "only look",
            Text("\n").join(judged) if judged else "-",
            life.why,
        )
    elapsed = (conduct.ended_at or time.time()) - conduct.began_at
    line = Text(f"{conduct.plan.scenario.name}  {words.age(elapsed)} of at most {format_duration(conduct.plan.longest_s)}  ")
    if conduct.is_rolling_back:
        line.append("undoing what was started; this is not interrupted", style="yellow")
    else:
        line.append("Ctrl-C ends it and undoes everything", style="bright_black")
    return Group(line, Text(), steps)


def left(life: StepLife, now_s: float) -> float | None:
    """Until it goes on by itself, where that is known."""
    if life.phase is _P.RUNNING and life.seen is not None and life.seen.phase is Phase.ACTIVE and life.seen.ends_at:
        return max(0.0, life.seen.ends_at - time.time())
    if life.phase in {_P.RESTING, _P.LOOKING, _P.APPROVING} and life.rests_until is not None:
        return max(0.0, life.rests_until - now_s)
    return None


def line_of(conduct: Conduct, life: StepLife) -> str:
    """A move of a step, where there is no terminal to draw on."""
    run = f" as {life.seen.id}" if life.phase is _P.RUNNING and life.seen is not None else ""
    left_s = left(life, trio.current_time())
    rest = f", {format_duration(round(left_s, 1))} left" if left_s else ""
    why = f": {life.moves[-1].why}" if life.moves[-1].why else ""
    return f"{time.time() - conduct.began_at:7.1f}s  {life.step.name}: {life.phase}{run}{rest}{why}"


# -- after ---------------------------------------------------------------------------------------------------------------------


def summary(conduct: Conduct) -> Iterator[RenderableType]:
    """What came of it, and of everything that was started."""
    yield _steps(conduct)
    objectives = [(life.step.name, one) for life in _ordered(conduct) if life.began_at for one in life.judged()]
    objectives += [("(whole)", one) for one in conduct.judged()]
    if objectives:
        yield Text()
        yield _objectives(objectives)
    undone = sorted((life for life in _ordered(conduct) if life.rollback is not None), key=_order)
    if undone:
        yield Text()
        yield _rollbacks(undone)
    yield Text()
    mark, style, word = _ENDS[conduct.ending.kind]
    assert conduct.ended_at is not None
    told = f": {conduct.ending.why}" if conduct.ending.why else ""
    took = words.age(conduct.ended_at - conduct.began_at)
    yield Text(f"{mark} {conduct.plan.scenario.name} {word}", style=style).append(f" after {took}{told}", style="default")


def _steps(conduct: Conduct) -> Table:
    table = bare_table()
    for name in ("STEP", "CAME TO", "TOOK", "RUN", "SEEN IN", "WELL IN", "GIVE OR TAKE"):
        right = name in {"TOOK", "SEEN IN", "WELL IN", "GIVE OR TAKE"}
        table.add_column(name, no_wrap=True, justify="right" if right else "left")
    table.add_column("WHY", overflow="fold")
    for life in _ordered(conduct):
        measures = () if life.seen is None else life.seen.measures
        hurt = [one for one in measures if one.hurt]
        took = "-" if life.began_at is None or life.ended_at is None else f"{life.ended_at - life.began_at:.1f}s"
        table.add_row(
            life.step.name,
            _state(life),
            took,
            life.seen.id if life.seen is not None else "-",
            _longest([one.detection_s for one in hurt]),
            _longest([one.recovery_s for one in hurt]),
            _longest([one.error_s for one in hurt]),
            life.why if life.phase not in {_P.PASSED, _P.SKIPPED} else "",
        )
    return table


def _objectives(judged: Sequence[tuple[str, Judged]]) -> Table:
    table = bare_table()
    for name in ("STEP", "OBJECTIVE", "VERDICT", "OBSERVED", "GIVE OR TAKE", "SAMPLES"):
        right = name in {"OBSERVED", "GIVE OR TAKE", "SAMPLES"}
        table.add_column(name, no_wrap=name != "OBJECTIVE", justify="right" if right else "left", overflow="fold")
    table.add_column("WHY", overflow="fold")
    for step, one in judged:
        mark, style = _VERDICTS[one.verdict]
        why = one.why or ("" if one.is_sure else "within the error it could be otherwise")
        verdict = Text(f"{mark} {one.verdict}", style=style)
        error = one.objective.told(one.error) if one.error else "-"
        table.add_row(step, one.objective.title, verdict, one.told, error, words.count(one.samples), why)
    return table


def _rollbacks(lives: Sequence[StepLife]) -> Table:
    table = bare_table()
    for name in ("UNDONE", "HOW"):
        table.add_column(name, no_wrap=True)
    table.add_column("WHY", overflow="fold")
    for life in lives:
        assert life.rollback is not None
        bad = life.rollback.how in {Undone.FAILED, Undone.UNCONFIRMED}
        table.add_row(life.step.name, Text(str(life.rollback.how), style="bold red" if bad else "green"), life.rollback.why)
    return table


def _seen(judged: Judged, *, so_far: bool) -> Text:
    mark, style = _VERDICTS[judged.verdict]
    known = judged.observed is not None
    pending = so_far and judged.verdict is not Verdict.MISSED
    told = f"{_short(judged.objective)} {judged.told}" if known else _short(judged.objective)
    return Text(f"{'·' if pending else mark} {told}", style="" if pending else style)


def _short(objective: Objective) -> str:
    return objective.name or str(objective.metric)


def _state(life: StepLife) -> Text:
    mark, style = _MARKS[life.phase]
    recovering = life.phase is _P.RUNNING and life.seen is not None and life.seen.phase is Phase.RECOVERING
    return Text(f"{mark} {'recovering' if recovering else life.phase}", style="yellow" if recovering else style)


def _ordered(conduct: Conduct) -> list[StepLife]:
    return [conduct.lives[planned.step.name] for planned in conduct.plan.steps]


def _order(life: StepLife) -> int:
    assert life.rollback is not None
    return life.rollback.order


def _longest(seconds: Sequence[float | None]) -> str:
    known = [one for one in seconds if one is not None]
    return words.latency(max(known, default=None))
