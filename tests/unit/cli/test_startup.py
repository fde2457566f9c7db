"""What a command that only tells of itself loads: nothing that it does not use, or it starts late."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import contextlib, io, json, sys
from meshkit_fastprobe.cli import app
with contextlib.redirect_stdout(io.StringIO()):
    app.run(sys.argv[1:])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
HEAVY = {"numpy", "trio", "httpx", "starlette", "hypercorn", "cryptography", "joserfc", "structlog", "pydantic"}


@pytest.mark.parametrize(
    "words", [("--help",), ("status", "--help"), ("chaos", "halt", "--help"), ("top", "--help")], ids=" ".join
)
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *words], check=True, capture_output=True, text=True)
    assert HEAVY.intersection(json.loads(ended.stdout)) == set()
