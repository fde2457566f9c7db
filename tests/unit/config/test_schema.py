"""The schema that editors use and the loader that decides say the same of every example."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.config.kinds import RESERVED
from meshkit_fastprobe.config.schema import config_schema
from meshkit_fastprobe.config.settings import COUNTS
from meshkit_fastprobe.config.shapes import EngineKeys
from meshkit_fastprobe.config.tables import fields_of
from meshkit_fastprobe.probes.builtin import builtin_kinds

DATA = Path(__file__).parents[2] / "data" / "config"
SCHEMA = config_schema(builtin_kinds, builtin_faults)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

BEYOND = "# beyond the schema"
"""Marks examples whose rule is about two keys, about other files, or about what a text means."""
INVALID = {
    path.stem.removeprefix("invalid-"): path.read_text()
    for path in sorted(DATA.glob("invalid-*.toml"))
    if path.stem not in {"invalid-broken-toml", "invalid-duplicate-key"}
}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted(DATA.glob("valid-*.toml")), ids=lambda path: path.stem)
def test_the_schema_accepts_what_the_loader_accepts(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(path.read_text()))] == []


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID.keys())
def test_the_schema_refuses_what_the_loader_refuses_as_far_as_a_schema_can(text: str) -> None:
    assert VALIDATOR.is_valid(tomllib.loads(text)) is (BEYOND in text)


def test_every_key_of_every_probe_is_described() -> None:
    for name in builtin_kinds:
        table = SCHEMA["$defs"][f"{builtin_kinds[name].__name__}Keys"]
        assert table["properties"].keys() >= RESERVED
        assert table["properties"]["kind"]["const"] == name
        assert all("description" in table["properties"][key] for key in RESERVED)


def test_bounds_of_counts_are_those_the_loader_keeps() -> None:
    properties: dict[str, Any] = SCHEMA["$defs"][EngineKeys.__name__]["properties"]
    assert {key: (properties[key]["minimum"], properties[key]["maximum"]) for key in COUNTS} == COUNTS
    assert set(fields_of(EngineKeys)) == set(properties)
