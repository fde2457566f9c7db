"""`python -m benchmarks [scenario ...]`: run scenarios, print tables with ratios against reach, keep JSON in results/."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks import docs, plots, programs, runner, scenario, table

MICRO = "micro"


def main() -> int:
    arguments = _arguments()
    if arguments.list:
        for name in scenario.names():
            print(f"{name:<16} {scenario.load(name).title}")
        print(f"{MICRO:<16} pytest-benchmark over benchmarks/micro")
        return 0
    if arguments.write_docs and not arguments.scenario:
        return _write_docs()
    usual = [name for name in scenario.names() if not scenario.load(name).only_by_name]
    wanted = arguments.scenario or [*usual, MICRO]
    unknown = sorted(set(wanted) - {*scenario.names(), MICRO})
    if unknown:
        print(f"no scenario is named {', '.join(unknown)}; there are: {', '.join([*scenario.names(), MICRO])}", file=sys.stderr)
        return 2
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each fresh process would compile what it imports
    programs.build()
    failed = [name for name in wanted if not _run(name, arguments.repeats)]
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    if arguments.write_docs:
        _write_docs()
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="names of scenarios (see --list); all but the longest when none is given")
    parser.add_argument("--repeats", type=int, help="runs per contender and workload, instead of the scenario's own number")
    parser.add_argument(
        "--write-docs", action="store_true", help="write docs/internals/benchmarks.md and its plots from results/*.json"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    return parser.parse_args()


def _run(name: str, repeats: int | None) -> bool:
    if name == MICRO:
        return (
            subprocess.run([sys.executable, "-m", "pytest", "-q", "benchmarks/micro"], cwd=runner.ROOT, check=False).returncode
            == 0
        )
    described = scenario.load(name)
    progress = sys.stderr.isatty()
    try:
        result = runner.run(
            name,
            described,
            repeats=repeats,
            say=lambda what: print(f"\r\033[K{what}", end="", file=sys.stderr) if progress else None,
        )
    except runner.ContenderError as error:
        print(f"\n{name}: {error}", file=sys.stderr)
        return False
    if progress:
        print("\r\033[K", end="", file=sys.stderr)
    print(table.render(result, described), flush=True)
    return True


def _write_docs() -> int:
    if not plots.available():
        print("plots stay as they are: needs matplotlib: pip install --group bench", file=sys.stderr)
    print(f"wrote {docs.write().relative_to(runner.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
