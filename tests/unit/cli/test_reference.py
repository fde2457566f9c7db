from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from meshkit_fastprobe.cli import app as module

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def spoken() -> set[str]:
    """The verbs of the built tree."""
    return set(_below(module.tree()))


def _below(command):
    for name, child in command.commands.items():
        yield from (f"{name} {verb}" for verb in _below(child)) if hasattr(child, "commands") else (name,)


def test_the_table_of_verbs_is_what_is_built():
    assert spoken() == set(module.VERBS)


@pytest.mark.parametrize("verb", module.VERBS)
def test_every_verb_says_what_it_does_and_every_option_of_it_too(verb):
    command = module.tree(verb.split()[0])
    for word in verb.split():
        command = command.commands[word]
    assert command.help
    assert [option.name for option in command.params if not getattr(option, "help", None)] == []


WRITING = [
    *(f"probes {verb}" for verb in ("run", "pause", "resume")),
    *(f"chaos {verb}" for verb in ("prepare", "approve", "activate", "stop", "halt", "resume", "scenario run")),
    "toggles set",
    "context use",
]


@pytest.mark.parametrize("verb", WRITING)
def test_what_writes_can_be_asked_what_it_would_do(verb):
    command = module.tree(verb.split()[0])
    for word in verb.split():
        command = command.commands[word]
    assert "--dry-run" in {option for one in command.params for option in one.opts}


@pytest.mark.parametrize("verb", module.VERBS)
def test_who_can_be_asked_by_host_can_be_asked_by_context(verb):
    command = module.tree(verb.split()[0])
    for word in verb.split():
        command = command.commands[word]
    names = [option.name for option in command.params]
    assert ("host" in names) == ("context" in names)


def test_the_page_has_every_verb_and_no_other():
    told = {
        " ".join(word for word in line.split("`")[1].split()[1:] if word.islower())
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `fastprobe ")
    }
    assert told == set(module.VERBS)


LOADED = """
import sys
from meshkit_fastprobe.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """Modules after a command, in a fresh interpreter."""
    command = [sys.executable, "-c", LOADED, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--host" in ended.stdout
    return set(ended.stderr.split())


def test_help_loads_no_library_that_only_the_verb_needs():
    heavy = {"numpy", "trio", "httpx", "rich", "starlette", "yaml", "joserfc", "cryptography", "http.client", "_ssl"}
    assert heavy & loaded("status", "--help") == set()


def test_help_loads_only_what_its_verb_is_made_of():
    ours = {name for name in loaded("status", "--help") if name.startswith("meshkit_fastprobe")}
    parts = ("app", "exits", "output", "reading", "sorting", "status", "watching", "words")
    assert ours == {"meshkit_fastprobe", "meshkit_fastprobe.cli"} | {f"meshkit_fastprobe.cli.{part}" for part in parts}
