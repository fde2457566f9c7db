"""A TOML file, parsed but not judged."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from meshkit_fastprobe.config.files import read_text
from meshkit_fastprobe.config.lines import key_lines
from meshkit_fastprobe.config.places import Place, Source
from meshkit_fastprobe.config.spec import Document
from meshkit_fastprobe.errors import ConfigError

_where = re.compile(r" \(at line (?P<line>[0-9]+), column (?P<column>[0-9]+)\)$")


def read_document(path: str | os.PathLike[str]) -> Document:
    """Read and parse a file. ConfigError when there is none that can be read, or when it is not TOML."""
    name = os.fspath(path)
    text, _ = read_text(Place(source=Source(name)), Path(name))
    return parse_document(name, text)


def parse_document(name: str, text: str) -> Document:
    """Parse the text of a file; `name` is how messages call it, and relative paths in it begin beside it."""
    try:
        data = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        where = _where.search(str(error))
        line = f"{name}:{where['line']}" if where else name
        problem = f"{_where.sub('', str(error))} at column {where['column']}" if where else str(error)
        raise ConfigError(line, f"broken TOML: {problem}", "correct it") from None
    except RecursionError:
        raise ConfigError(name, "broken TOML: nested too deeply", "flatten it") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise ConfigError(name, f"broken TOML: {error}", "correct it") from None
    return Document(name, Source(name, lines), data)
