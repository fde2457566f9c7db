"""What a host pays for `import meshkit_fastprobe`, looked at in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

EXTRAS = {
    "typer",
    "click",
    "rich",
    "httpx",
    "httpcore",
    "yaml",
    "starlette",
    "hypercorn",
    "h11",
    "h2",
    "aioquic",
    "grpc",
    "google",
}
OPTIONAL = {*EXTRAS, "structlog", "cryptography", "jwt", "uvloop", "pytest", "psutil", "asyncio"}
"""What extras bring, what hosts use themselves, the test tools, and asyncio, which nobody here needs."""

LOOK = """
import json, sys, time
began = time.process_time()  # others may have the processor meanwhile
import meshkit_fastprobe
meshkit_fastprobe.Diagnostics  # names are imported when first used
took_s = time.process_time() - began
print(json.dumps({"took_s": took_s, "modules": sorted(sys.modules), "threads": __import__("threading").active_count()}))
"""


@pytest.fixture(scope="module")
def fresh() -> dict:
    done = subprocess.run([sys.executable, "-I", "-c", LOOK], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_import_loads_no_optional_dependency(fresh):
    assert sorted(OPTIONAL & {name.partition(".")[0] for name in fresh["modules"]}) == []


def test_import_loads_no_optional_part_of_ours(fresh):
    parts = ("cli", "server", "fleet", "chaos", "testing")
    handle = {"meshkit_fastprobe.server", "meshkit_fastprobe.server.endpoints"}  # by which a host opens the rest
    optional = tuple(f"meshkit_fastprobe.{part}" for part in parts)
    assert {name for name in fresh["modules"] if name.startswith(optional)} <= handle


def test_import_starts_no_thread(fresh):
    assert fresh["threads"] == 1


def test_import_takes_well_under_a_second(fresh):
    """The reach of 0.25 s is measured by benchmarks/scenarios/import_time.py; here only a blunder is caught."""
    assert fresh["took_s"] < 1.0
