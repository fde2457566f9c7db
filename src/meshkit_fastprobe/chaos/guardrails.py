"""What keeps an experiment from starting: pure judgement over a situation, every reason told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

import msgspec

from meshkit_fastprobe.aggregation.maintenance import is_within
from meshkit_fastprobe.chaos.faults.base import FaultPlan
from meshkit_fastprobe.chaos.in_force import NOBODY, TOLD, Beside
from meshkit_fastprobe.experiments import ChaosSettings, Experiment


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """A host as it is now.

    beside: the other runs whose fault is in force or about to be. ended: seconds since the last run ended, of the experiment
    and on whatever overlaps its resources. up: the share of the steady state's probes that is up; None: they cannot see.
    groups: whom it concerns, "cluster/namespace".
    """

    now_s: float
    chaos_on: bool
    kind_on: bool
    incident: bool
    halted: str | None
    broken: str | None
    beside: Beside
    stuck: tuple[str, ...]
    ended: Mapping[str, float]
    up: float | None
    remaining: Mapping[str, float]
    groups: tuple[str, ...] = ()
    hurt_probes: tuple[str, ...] = ()


def refusals(settings: ChaosSettings, experiment: Experiment, plan: FaultPlan, now: Situation) -> list[str]:
    """Why it may not start; empty when it may. Each is a sentence for the operator, with what to do."""
    return [
        *_switches(plan.kind, now),
        *_calendar(settings, now),
        *_limits(settings, experiment, now),
        *_protected(settings, plan, now),
        *_health(settings, experiment, now),
    ]


def why_end(settings: ChaosSettings, kind: str, is_on: Callable[[str], bool], now_s: float) -> str | None:
    """What ends a run of this kind that is under way, whatever its probes say; None: nothing does."""
    if not is_on("chaos.enabled") or not is_on(f"chaos.{kind}.enabled"):
        return f"chaos, or faults of kind {kind}, were switched off"
    if is_on("chaos.incident"):
        return "an incident was declared (toggle chaos.incident)"
    return next((f"a blackout began: {one.reason}" for one in settings.blackouts if is_within(one.when, now_s)), None)


def _switches(kind: str, now: Situation) -> Iterable[str]:
    if now.broken is not None:
        yield f"the journal cannot be used: {now.broken}"
    if not now.chaos_on:
        yield "chaos is switched off on this host; switch it on: fastprobe toggles set chaos.enabled on"
    if not now.kind_on:
        yield f"faults of kind {kind} are switched off here; switch them on: fastprobe toggles set chaos.{kind}.enabled on"
    if now.incident:
        yield "an incident is declared (toggle chaos.incident); nothing starts until it is over"
    if now.halted is not None:
        yield f"all chaos is halted: {now.halted}; release it: fastprobe chaos resume --reason ..."
    for run in now.stuck:
        yield f"the fault of {run} could not be undone; undo it first: fastprobe chaos stop {run.rpartition('-')[0]}"


def _calendar(settings: ChaosSettings, now: Situation) -> Iterable[str]:
    for blackout in settings.blackouts:
        if is_within(blackout.when, now.now_s):
            yield f"a blackout is on: {blackout.reason}; wait until it is over"


def _limits(settings: ChaosSettings, experiment: Experiment, now: Situation) -> Iterable[str]:
    if experiment.duration_s > settings.max_duration_s:
        yield f"it lasts {experiment.duration_s:g} s; the bound of this host is {settings.max_duration_s:g} s"
    there = now.beside.all
    if there.count >= settings.max_concurrent:
        yield f"{there.count} experiments run already ({there}), which is the bound; wait, or stop one"
    for group in now.groups:
        there = now.beside.groups.get(group, NOBODY)
        if there.count >= settings.max_concurrent_per_group:
            yield f"{group} bears {there.count} already ({there}), the bound of a group; wait, or stop one"
    for run, shared in now.beside.sharing.items():
        yield f"{run} works on {', '.join(shared[:TOLD])} already: one fault a resource"
    for key, past_s in now.ended.items():
        if past_s < settings.cooldown_s:
            yield f"{key} had a run {past_s:.0f} s ago; it rests for {settings.cooldown_s:g} s"


def _protected(settings: ChaosSettings, plan: FaultPlan, now: Situation) -> Iterable[str]:
    named = (*plan.targets, *plan.resources, *now.hurt_probes)
    for glob in settings.protected:
        hit = next((name for name in named if fnmatchcase(name, glob)), None)
        if hit is not None:
            yield f"{hit} is protected by {glob!r} of [chaos] protected"


def _health(settings: ChaosSettings, experiment: Experiment, now: Situation) -> Iterable[str]:
    steady = experiment.steady_state
    if steady is not None and now.up is None:
        yield "the probes of the steady state cannot see: there are none, or they have nothing recent to say"
    elif steady is not None and now.up is not None and now.up < steady.healthy_ratio:
        yield f"the steady state does not hold: {now.up:.0%} of its probes are up, {steady.healthy_ratio:.0%} are asked for"
    for group, share in now.remaining.items():
        if share < settings.healthy_floor:
            yield f"at worst {share:.0%} of {group} would stay up; the floor is {settings.healthy_floor:.0%}: affect less"
