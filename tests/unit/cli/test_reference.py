from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer.main

from meshkit_fastprobe.cli import app as module

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def verbs() -> set[str]:
    module._mount_config()
    root = typer.main.get_command(module.app)
    found = set()
    for name, command in root.commands.items():
        children = getattr(command, "commands", None)
        found |= {f"{name} {child}" for child in children} if children else {name}
    return found


def test_the_page_has_every_verb_and_no_other():
    told = {
        " ".join(word for word in line.split("`")[1].split()[1:] if word.islower())
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `fastprobe ")
    }
    assert told == verbs()


def test_help_loads_neither_numpy_nor_trio_nor_httpx():
    script = (
        "import sys\nfrom meshkit_fastprobe.cli import main\n"
        "try:\n    main(['status', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'trio', 'httpx', 'starlette', 'yaml'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stderr.strip() == "[]"
    assert "--host" in ended.stdout
