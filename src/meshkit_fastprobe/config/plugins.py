"""Plug-ins: kinds of probes and faults of others, named by the file and never looked for."""

from __future__ import annotations

import importlib
import re

from meshkit_fastprobe.config.places import Place, Problems, shown
from meshkit_fastprobe.config.shapes import PLUGIN_PATTERN
from meshkit_fastprobe.config.spec import Registry
from meshkit_fastprobe.errors import ConfigError

_entry = re.compile(PLUGIN_PATTERN, re.ASCII)


def load_plugins(place: Place, entries: tuple[str, ...], kinds: Registry, problems: Problems) -> None:
    """Import each "package.module:factory" and call factory(kinds), which registers kinds. What it raises becomes a problem."""
    for index, entry in enumerate(entries):
        at = place.at(index)
        if not _entry.fullmatch(entry):
            problems.add(at, f"{shown(entry)} is not a plug-in", 'write "package.module:factory"')
            continue
        if entry in entries[:index]:
            problems.add(at, f"{shown(entry)} is named twice", "name it once")
            continue
        try:
            module, _, name = entry.partition(":")
            factory = getattr(importlib.import_module(module), name, None)
            if factory is None:
                problems.add(at, f"the module {module} has no {name}", "name a function of it")
                continue
            factory(kinds)
        except ConfigError as error:
            problems.add(at, f"{shown(entry)} was refused: {error}", "correct the plug-in, or remove it from plugins")
        except ImportError as error:
            problems.add(at, f"{shown(entry)} cannot be imported: {error}", "install it where this Python finds it")
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it raises, the file and the line are named
            problems.add(
                at, f"{shown(entry)} raised {type(error).__name__}: {error}", "correct the plug-in, or remove it from plugins"
            )
