"""Run the examples of README.md and docs/: Python blocks are executed, TOML blocks are loaded as the files they show."""

from __future__ import annotations

import sys
from types import ModuleType

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.config.document import parse_document
from meshkit_fastprobe.config.load import build
from meshkit_fastprobe.config.scenario import read_scenario
from meshkit_fastprobe.probes.builtin import builtin_kinds


def load_toml(example: Example) -> None:
    """ConfigError names page, line in the block, key and fix. The plug-in `my_probes` is what the page defined."""
    document = parse_document(f"{example.path}:{example.line}", str(example.parsed))
    if "step" in document.data:
        read_scenario(document)
        return
    page = ModuleType("my_probes")
    vars(page).update(example.namespace)
    sys.modules["my_probes"] = page
    build(document, builtin_kinds, lambda: builtin_faults)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser(language="toml", evaluator=load_toml)],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
).pytest()
