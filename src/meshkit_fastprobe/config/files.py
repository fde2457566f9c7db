"""Reading files that people wrote: bounded, UTF-8, and with a stamp that tells later whether they have changed."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from meshkit_fastprobe.config.places import Place, shown
from meshkit_fastprobe.config.spec import FileSeen
from meshkit_fastprobe.errors import ConfigError

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_FILES: Final = 1024
"""Files that one pattern may match."""


def read_text(place: Place, path: Path) -> tuple[str, FileSeen]:
    """The text of a regular file and its stamp; ConfigError says what keeps it from being read."""
    name = shown(str(path))
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(str(place), f"{name} is not a regular file", "name a file")
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(str(place), f"{name} does not exist", "create it or correct the path") from None
    except OSError as error:
        raise ConfigError(str(place), f"{name} cannot be read: {error.strerror}", "let this user read it") from None
    except ValueError:
        raise ConfigError(str(place), "a path cannot hold a null character", "correct the path") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(
            str(place), f"{name} is larger than {MAX_FILE_BYTES} bytes", "split it: list targets in files of their own"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(place), f"{name} is not UTF-8: line {line}, byte {error.start}", "save it as UTF-8") from None
    return text, _stamp(path, status)


def matching(place: Place, pattern: Path) -> list[Path]:
    """The files a pattern names, in order: itself when it holds no *, which then must exist; else any number, none included."""
    name = shown(str(pattern))
    if "*" not in str(pattern):
        return [pattern]
    if "*" in str(pattern.parent):
        raise ConfigError(str(place), f"{name} has a * in a directory", "only the last part of a path may hold *")
    try:
        found = [
            path for path in pattern.parent.iterdir() if fnmatchcase(path.name, pattern.name) and not path.name.startswith(".")
        ]
    except (OSError, ValueError):
        raise ConfigError(str(place), f"the directory of {name} cannot be read", "create it or correct the path") from None
    if len(found) > MAX_FILES:
        raise ConfigError(str(place), f"{name} matches {len(found)} files; the bound is {MAX_FILES}", "merge them")
    return sorted(found)


def stamp(path: Path) -> FileSeen | None:
    """What the file is now, or None when it is gone."""
    try:
        return _stamp(path, path.stat())
    except (OSError, ValueError):
        return None


def _open_at_once(path: str, flags: int) -> int:
    """Opening a fifo would otherwise wait for a writer, for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _stamp(path: Path, status: os.stat_result) -> FileSeen:
    return FileSeen(str(path), status.st_mtime_ns, status.st_size, status.st_ino)
