"""The report as JUnit XML, which every build server shows: a suite, a case for each step, each objective and each thing undone.

What failed is a failure, what the host refused or what could not be undone an error, what never began is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from meshkit_fastprobe.chaos.scenarios.judging import Verdict
from meshkit_fastprobe.chaos.scenarios.report import ObjectiveReport, Report, RollbackReport, StepReport
from meshkit_fastprobe.chaos.scenarios.states import StepPhase
from meshkit_fastprobe.chaos.scenarios.step import Undone

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def junit(report: Report) -> bytes:
    """A document with one suite."""
    cases = [*_cases(report)]
    counts = {
        "tests": str(len(cases)),
        "failures": str(_count(cases, "failure")),
        "errors": str(_count(cases, "error")),
        "skipped": str(_count(cases, "skipped")),
        "time": f"{report.seconds:.3f}",
    }
    timestamp = report.began_at.removesuffix("Z").partition(".")[0]
    whole = ET.Element("testsuites", {"name": "fastprobe chaos scenario", **counts})
    suite = ET.SubElement(
        whole, "testsuite", {"name": report.scenario, "hostname": report.host, "timestamp": timestamp, **counts}
    )
    properties = ET.SubElement(suite, "properties")
    told = {"outcome": report.outcome, "why": report.why, "reason": report.reason, "ticket": report.ticket}
    for name, value in told.items():
        if value:
            ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    suite.extend(cases)
    ET.indent(whole)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(whole, encoding="unicode")}\n'.encode()


def _cases(report: Report) -> Iterator[ET.Element]:
    for step in report.steps:
        yield _step(report, step)
        for objective in step.objectives:
            yield _objective(f"{report.scenario}.{step.name}", objective)
    for objective in report.objectives:
        yield _objective(report.scenario, objective)
    for rollback in report.rollback:
        yield _rollback(report, rollback)


def _step(report: Report, step: StepReport) -> ET.Element:
    case = _case(f"{report.scenario}.{step.name}", f"step {step.name}", step.seconds)
    if step.refused:
        _add(case, "error", "refused", step.why)
    elif step.phase in {StepPhase.FAILED, StepPhase.STOPPED}:
        _add(case, "failure", step.phase, step.why or step.phase)
    elif step.phase == StepPhase.SKIPPED:
        _add(case, "skipped", "", step.why)
    lines = [f"{move.at} {move.phase}{': ' + move.why if move.why else ''}" for move in step.moves]
    if step.run is not None:
        lines += [f"run {step.run.id}, plan {step.run.plan_id}", *(_measured(step))]
    ET.SubElement(case, "system-out").text = _clean("\n".join(lines))
    return case


def _measured(step: StepReport) -> Iterator[str]:
    for one in step.run.measures if step.run is not None else ():
        for what, seconds in (("detection", one.detection_seconds), ("recovery", one.recovery_seconds)):
            told = "none" if seconds is None else f"{seconds:.3f} s"
            yield f"{what} of {one.group}: {told} (within {one.error_seconds:.3f} s, {one.hurt} of {one.probes} probes hurt)"


def _objective(owner: str, objective: ObjectiveReport) -> ET.Element:
    case = _case(owner, objective.title, 0.0)
    if objective.verdict != Verdict.MET:
        seen = f"it was {objective.observed}" if objective.observed is not None else objective.why
        _add(case, "failure", objective.verdict, f"{objective.verdict}: {seen}")
    within = f", the truth within {objective.error:g}" if objective.error else ""
    observed = "-" if objective.observed is None else objective.observed
    told = f"{objective.metric} {observed}{within}; the bound is {objective.bound:g}; {objective.samples} samples"
    ET.SubElement(case, "system-out").text = told
    return case


def _rollback(report: Report, rollback: RollbackReport) -> ET.Element:
    case = _case(f"{report.scenario}.{rollback.step}", f"{rollback.step} is undone", 0.0)
    if rollback.how in {Undone.FAILED, Undone.UNCONFIRMED}:
        _add(case, "error", rollback.how, rollback.why)
    ET.SubElement(case, "system-out").text = _clean(f"{rollback.at} {rollback.how}: {rollback.why}")
    return case


def _case(classname: str, name: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", {"classname": classname, "name": _clean(name), "time": f"{seconds:.3f}"})


def _add(case: ET.Element, what: str, kind: str, why: str) -> None:
    told = {"message": _clean(why), **({"type": kind} if kind else {})}
    ET.SubElement(case, what, told).text = None if what == "skipped" else _clean(why)


def _count(cases: list[ET.Element], what: str) -> int:
    return sum(case.find(what) is not None for case in cases)


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)
