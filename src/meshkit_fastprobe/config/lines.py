"""On which line of a TOML file each key stands, which tomllib does not tell.

A scanner for text that tomllib has accepted already: it trusts the grammar and looks only for where things begin and end.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from itertools import count

from meshkit_fastprobe.config.places import Path

_blank = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_key_part = re.compile(r"""[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*'))[ \t]*(?P<dot>\.?)""")
_string = re.compile(r'''"""(?:\\.|[^\\])*?"""(?!")|\'\'\'.*?\'\'\'(?!')|"(?:[^"\\]|\\.)*"|'[^']*\'''', re.DOTALL)
_scalar = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> dict[Path, int]:
    """Line numbers, from 1, of every key, table header and array item. `text` must be valid TOML."""
    return _Scanner(text).lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._array_lengths: dict[Path, int] = {}
        self._scan()

    def _scan(self) -> None:
        table: Path = ()
        position = self._skip_blank(0)
        while position < len(self._text):
            if self._text[position] == "[":
                table, position = self._header(position)
            else:
                position = self._assignment(table, position)
            position = self._skip_blank(position)

    def _header(self, start: int) -> tuple[Path, int]:
        brackets = 2 if self._text.startswith("[[", start) else 1
        keys, position = self._dotted(start + brackets)
        table: Path = ()
        for depth, key in enumerate(keys, 1):
            table = (*table, key)
            if depth == len(keys) and brackets == 2:
                self._array_lengths[table] = self._array_lengths.get(table, 0) + 1
            if table in self._array_lengths:
                table = (*table, self._array_lengths[table] - 1)
            self._note(table, start)
        return table, position + brackets

    def _assignment(self, table: Path, start: int) -> int:
        keys, position = self._dotted(start)
        path = table
        for key in keys:
            path = (*path, key)
            self._note(path, start)
        return self._value(path, self._skip_blank(position + 1))

    def _value(self, path: Path, position: int) -> int:
        first = self._text[position]
        if first == "[":
            return self._items(path, position + 1, "]")
        if first == "{":
            return self._items(path, position + 1, "}")
        match = (_string if first in "\"'" else _scalar).match(self._text, position)
        assert match is not None, "the text was not valid TOML"
        return match.end()

    def _items(self, path: Path, position: int, closing: str) -> int:
        for index in count():
            position = self._skip_blank(position)
            if self._text[position] == ",":
                position = self._skip_blank(position + 1)
            if self._text[position] == closing:
                break
            if closing == "}":
                position = self._assignment(path, position)
            else:
                self._note((*path, index), position)
                position = self._value((*path, index), position)
        return position + 1

    def _dotted(self, position: int) -> tuple[list[str], int]:
        keys: list[str] = []
        while True:
            match = _key_part.match(self._text, position)
            assert match is not None, "the text was not valid TOML"
            keys.append(match["bare"] or tomllib.loads(f"key = {match['quoted']}")["key"])
            position = match.end()
            if not match["dot"]:
                return keys, position

    def _note(self, path: Path, position: int) -> None:
        self.lines.setdefault(path, bisect_right(self._line_ends, position - 1) + 1)

    def _skip_blank(self, position: int) -> int:
        match = _blank.match(self._text, position)
        return match.end() if match else position
