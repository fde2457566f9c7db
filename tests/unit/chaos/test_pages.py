"""Each kind of fault has a page, and the page has a row for each of its keys."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults

PAGES = Path(__file__).parents[3] / "docs" / "faults"


@pytest.mark.parametrize("kind", sorted(set(builtin_faults) - {"null"}))
def test_every_key_of_a_fault_has_its_row(kind: str) -> None:
    page = (PAGES / f"{kind.replace('_', '-')}.md").read_text(encoding="utf-8")
    rows = {key for row in re.findall(r"^\| (`.*?) \|", page, flags=re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    keys = {field.encode_name for field in msgspec.structs.fields(builtin_faults[kind])}
    assert keys <= rows
