"""One contender, in this process: `python -m benchmarks.contend NAME < workload.json` prints its metrics as one JSON line."""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.measure import peak_rss_bytes
from benchmarks.shared.peer_process import MissingProgramError


def main() -> None:
    name = sys.argv[1]
    try:
        contender = importlib.import_module(f"benchmarks.contenders.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(("benchmarks", "meshkit_fastprobe")):
            raise
        print(json.dumps({"unavailable": f"needs the package {error.name}: pip install --group bench"}))
        return
    try:
        metrics = contender.run(json.load(sys.stdin))
    except MissingProgramError as error:
        print(json.dumps({"unavailable": str(error)}))
        return
    print(json.dumps({"peak_rss_bytes": peak_rss_bytes(), **metrics}))


if __name__ == "__main__":
    main()
