"""--watch: the same look again and again, on a screen where only the lines that changed are written."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from typing import Final, TextIO

from meshkit_fastprobe.cli.exits import CliError, Exit

WATCH_EVERY_S: Final = 2.0

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[?25h\x1b[?1049l"
"""The terminal's other screen, without a cursor; what was there before comes back at the end."""


class Screen:
    """Draws pictures, line by line, and writes nothing for a line that stands already. Lines end their own colours."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._stands: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Screen:
        self._out.write(_ENTER)
        self._out.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._out.write(_LEAVE)
        self._out.flush()

    def show(self, lines: Sequence[str], size: tuple[int, int]) -> int:
        """Put this picture on a screen of (columns, rows); how many lines were written."""
        rows = size[1]
        if size != self._size:
            self._stands, self._size = [], size
            self._out.write("\x1b[2J")
        wanted = list(lines[:rows])
        changed = [at for at, line in enumerate(wanted) if at >= len(self._stands) or self._stands[at] != line]
        # A terminal that knows synchronised updates shows all of it at once; others pass over the marks.
        moves = [f"\x1b[{at + 1};1H{wanted[at]}\x1b[0m\x1b[K" for at in changed]
        if len(wanted) < len(self._stands):
            moves.append(f"\x1b[{len(wanted) + 1};1H\x1b[J")
        if moves:
            self._out.write(f"\x1b[?2026h{''.join(moves)}\x1b[?2026l")
            self._out.flush()
        self._stands = wanted
        return len(changed)


class _Picture(io.StringIO):
    """What a look prints, while it believes to print on the terminal."""

    def __init__(self, real: TextIO) -> None:
        super().__init__()
        self._real = real

    @property
    def encoding(self) -> str:  # type: ignore[override]  # rich asks whether our marks can be shown
        return self._real.encoding

    def isatty(self) -> bool:
        return self._real.isatty()

    def fileno(self) -> int:
        return self._real.fileno()


def repeat(look: Callable[[], int], *, watch: bool) -> int:
    """Once; or until Ctrl-C, on a screen of its own, or as one text after the other where there is no terminal."""
    if not watch:
        return look()
    out = sys.stdout
    code: int = Exit.WELL
    try:
        if not out.isatty():
            return _texts(look, out)
        with Screen(out) as screen:
            while True:
                told, code = _look(look, out)
                size = _size()
                screen.show(_cut(told.splitlines(), size[1]), size)
                time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        return code


def _texts(look: Callable[[], int], out: TextIO) -> int:
    """Every picture that is unlike the one before it."""
    code, before = int(Exit.WELL), ""
    try:
        while True:
            told, code = _look(look, out)
            if told != before:
                out.write(told if not before else f"\n{told}")
                out.flush()
                before = told
            time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        return code


def _look(look: Callable[[], int], out: TextIO) -> tuple[str, int]:
    """What a look prints, and its code. A host that goes away while it is watched is told, and watched on."""
    picture = _Picture(out)
    # On a screen, remarks belong into the picture too: written beside it, they would stand in the middle of it.
    with redirect_stdout(picture), redirect_stderr(picture) if out.isatty() else nullcontext():
        try:
            code = look()
        except CliError as error:
            if error.code is not Exit.UNREACHABLE:
                raise
            return f"{error.what}\n  -> {error.next_step}\n", error.code
    return picture.getvalue(), code


def _cut(lines: list[str], rows: int) -> list[str]:
    if len(lines) <= rows:
        return lines
    return [*lines[: rows - 1], f"... {len(lines) - rows + 1:,} more lines: narrow with --state, --namespace or --name"]


def _size() -> tuple[int, int]:
    import shutil

    size = shutil.get_terminal_size()
    return size.columns, size.lines
