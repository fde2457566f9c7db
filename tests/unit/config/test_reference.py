"""The reference page names every key there is, with the default and the bounds it has."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from meshkit_fastprobe.config.chaos_shapes import BlackoutKeys, ChaosKeys, ExperimentKeys, ProxyKeys, SteadyStateKeys
from meshkit_fastprobe.config.durations import format_duration
from meshkit_fastprobe.config.settings import COUNTS, TIMES_S
from meshkit_fastprobe.config.shapes import (
    AuditKeys,
    BindingKeys,
    BudgetKeys,
    BudgetsKeys,
    EngineKeys,
    HistoryKeys,
    HostKeys,
    MaintenanceKeys,
    OtlpKeys,
    ProbeKeys,
    SecurityKeys,
    ServerKeys,
    ServerTlsKeys,
    TelemetryKeys,
    TokenKeys,
)
from meshkit_fastprobe.config.tables import fields_of
from meshkit_fastprobe.model import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "configuration.md").read_text()
SHAPES = [
    HostKeys,
    ServerKeys,
    ServerTlsKeys,
    SecurityKeys,
    TokenKeys,
    BindingKeys,
    EngineKeys,
    BudgetsKeys,
    BudgetKeys,
    MaintenanceKeys,
    ProbeKeys,
    ChaosKeys,
    ExperimentKeys,
    SteadyStateKeys,
    BlackoutKeys,
    AuditKeys,
    HistoryKeys,
    TelemetryKeys,
    OtlpKeys,
    ProxyKeys,
]
ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \|.*$", PAGE, re.MULTILINE)}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_key_has_its_row(shape: type[msgspec.Struct]) -> None:
    assert fields_of(shape).keys() <= ROWS.keys()


def test_no_row_is_about_a_key_that_is_not_there() -> None:
    known = {key for shape in SHAPES for key in fields_of(shape)}
    assert ROWS.keys() == known


@pytest.mark.parametrize("key", COUNTS)
def test_counts_are_told_as_they_are(key: str) -> None:
    lowest, highest = COUNTS[key]
    assert f"| {getattr(Settings(host=''), key)} | {lowest} to {highest} |" in ROWS[key]


@pytest.mark.parametrize("key", TIMES_S)
def test_times_are_told_as_they_are(key: str) -> None:
    lowest, highest = (
        format_duration(bound).replace("0s", "0") if bound == 0 else format_duration(bound) for bound in TIMES_S[key]
    )
    assert f"| {format_duration(getattr(Settings(host=''), f'{key}_s'))} | {lowest} to {highest} |" in ROWS[key]
