"""Write the dashboards: python -m deploy.grafana. A test holds the written files against what this makes."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana.boards import BOARDS

WRITTEN = Path(__file__).parent / "dashboards"


def written() -> dict[Path, str]:
    """The files, and what belongs into them."""
    return {WRITTEN / f"{name}.json": json.dumps(board(), indent=2) + "\n" for name, board in BOARDS.items()}


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")
