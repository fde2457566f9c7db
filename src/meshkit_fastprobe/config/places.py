"""Where a setting stands, and how its value is shown in a message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from meshkit_fastprobe.errors import ConfigError, ConfigErrors

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the top of a file: ("probe", 3, "interval")."""

_line = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+)(?::|$)")

SHOWN: Final = 80
"""Characters of a value that a message repeats."""
LISTED: Final = 40
"""Known words that a message lists."""


class Source:
    """A file (or call) as messages name it, and the lines where its keys stand, as far as they are known."""

    __slots__ = ("lines", "name")

    def __init__(self, name: str, lines: Mapping[Path, int] | None = None) -> None:
        self.name = name
        self.lines: Mapping[Path, int] = lines or {}

    def line(self, path: Path) -> int | None:
        """The line of a key, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return None


class Place:
    """One key: `FILE:LINE: probe[3].interval` from a file, `probe 'pg': interval` from a call."""

    __slots__ = ("path", "source")

    def __init__(self, path: Path = (), source: Source | None = None) -> None:
        self.path = path
        self.source = source

    def at(self, *keys: str | int) -> Place:
        """A place inside this one."""
        return Place((*self.path, *keys), self.source)

    def __str__(self) -> str:
        text = dotted(self.path)
        if self.source is None:
            return text
        line = self.source.line(self.path)
        return ": ".join(part for part in (self.source.name if line is None else f"{self.source.name}:{line}", text) if part)


class Problems:
    """Everything that is wrong, gathered so that one look at a file shows all of it."""

    def __init__(self) -> None:
        self.found: list[ConfigError] = []

    def add(self, place: Place | str, problem: str, fix: str = "") -> None:
        self.found.append(ConfigError(str(place), problem, fix))

    def take(self, error: ConfigError) -> None:
        """Add an error that somebody else raised."""
        self.found.extend(error.errors if isinstance(error, ConfigErrors) else [error])

    def __len__(self) -> int:
        return len(self.found)

    def refuse(self) -> None:
        """Raise what was gathered, if anything was, in the order of the lines."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            files: dict[str, int] = {}
            raise ConfigErrors(sorted(self.found, key=lambda error: _file_and_line(error.where, files)))


def _file_and_line(where: str, files: dict[str, int]) -> tuple[int, int]:
    """Files in the order of their coming; what has no line stands first."""
    match = _line.match(where)
    name, line = (match["file"], int(match["line"])) if match else ("", 0)
    return files.setdefault(name, len(files)), line


def dotted(path: Path) -> str:
    """("probe", 3, "labels", "a b") as `probe[3].labels."a b"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." if text else ""
            text += part if part.replace("_", "a").replace("-", "a").isalnum() else shown(part)
    return text


def shown(value: object) -> str:
    """A value as a message repeats it: bounded, on one line, strings in double quotes."""
    match value:
        case str() if value.isprintable() and '"' not in value:
            text = f'"{value}"'
        case bool():
            text = str(value).lower()
        case float() if value.is_integer():
            text = f"{value:.0f}"
        case _:
            text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]} ..."


def suggestion(word: str, known: Iterable[str]) -> str:
    """What was probably meant, or what there is."""
    from difflib import get_close_matches

    words: Sequence[str] = list(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(words)}" if 0 < len(words) <= LISTED else ""
