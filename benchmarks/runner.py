"""Run a scenario: every contender in a fresh process, in alternating order, and keep all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, programs
from benchmarks.scenario import Scenario

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
SEED = 20_240_229

# Numeric libraries start a thread per core when imported; their idle spinning would be charged to the contender.
QUIET_LIBRARIES = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class ContenderError(Exception):
    """A contender ended badly; the message holds what it wrote to stderr."""


def run(name: str, scenario: Scenario, *, repeats: int | None = None, say: Callable[[str], None]) -> dict[str, Any]:
    """All workloads and contenders of one scenario; the result is written to results/ and returned."""
    repeats = repeats or scenario.repeats
    runs: list[dict[str, Any]] = []
    unavailable: dict[str, str] = {}
    about = machine.describe()
    for workload, parameters in scenario.workloads.items():
        for round_number in range(repeats):
            contenders = [c for c in scenario.contenders_of(workload) if c not in unavailable]
            if round_number % 2:
                contenders.reverse()  # whatever drifts (heat, page cache) must not favour the one who goes first
            for contender in contenders:
                say(f"{name} / {workload} / {contender} ({round_number + 1} of {repeats})")
                metrics = _contend(contender, {**parameters, "seed": SEED + round_number}, scenario)
                if "unavailable" in metrics:
                    unavailable[contender] = metrics["unavailable"]
                    continue
                runs.append({"workload": workload, "contender": contender, "round": round_number, **metrics})
    result = {
        "scenario": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": about,
        "seed": SEED,
        "repeats": repeats,
        "workloads": {key: dict(value) for key, value in scenario.workloads.items()},
        "unavailable": unavailable,
        "runs": runs,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _contend(contender: str, workload: dict[str, Any], scenario: Scenario) -> dict[str, Any]:
    own, other = programs.cores()
    server = programs.TargetServer(other) if scenario.needs_target else None
    workload = {**workload, "other_cores": sorted(other)}
    with server if server is not None else nullcontext() as port:
        if port is not None:
            workload = {**workload, "port": port}
        with programs.pinned(own):
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.contend", contender],
                cwd=ROOT,
                env={**os.environ, **QUIET_LIBRARIES},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        try:
            out, err = process.communicate(json.dumps(workload), timeout=scenario.timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise ContenderError(f"{contender} did not end within {scenario.timeout_s:g} s") from None
    if process.returncode:
        raise ContenderError(f"{contender} ended with {process.returncode}:\n{err.strip()}")
    metrics: dict[str, Any] = json.loads(out.splitlines()[-1])
    if server is not None:
        metrics["target_saw"] = server.saw
    return metrics
