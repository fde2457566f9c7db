"""The line of every key, in every way that TOML lets people write one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.config import places
from meshkit_fastprobe.config.lines import key_lines
from meshkit_fastprobe.config.toml import to_toml

DATA = Path(__file__).parents[2] / "data" / "config"

TEXT = '''\
# a comment = "no key"
title = "x # no comment" # = 1
[a.b]
list = [ 1, # one
  [2, "]"],
  { x = 1, y.z = """
 ] } = """ } ]
"q. u" = 1979-05-27 07:32:00 # date
'lit' = \'\'\'
[not.a.header]
key = 1\'\'\'
end = """a\\""" ""\\""""  # quotes
five = """""x"""""
[[probe]]
name = "a"
expect = { status = [200, 201], headers = { "x-y" = 'z' } }

[[probe]]
  name = "b"
  [probe.labels]
  env = "p"
[[probe]]
targets = [
 "1",

 "2", # two
]
a.b.c = 1
a.b.d = 2
"\\u0061bc" = 5
[[probe.sub]]
k = 1
[[probe.sub]]
k = 2
'''


def test_every_key_has_its_line() -> None:
    lines = key_lines(TEXT)
    text_of = TEXT.splitlines()
    for path, line in lines.items():
        key = str(path[-1])
        assert isinstance(path[-1], int) or key in text_of[line - 1] or "u0061bc" in text_of[line - 1]
    assert lines["a", "b", "list", 2, "y", "z"] == 6
    assert lines["a", "b", "q. u"] == 8
    assert lines["a", "b", "end"] == 12
    assert lines["a", "b", "five"] == 13
    assert lines["probe", 0] == 14
    assert lines["probe", 0, "expect", "headers", "x-y"] == 16
    assert lines["probe", 1, "name"] == 19
    assert lines["probe", 1, "labels", "env"] == 21
    assert lines["probe", 2, "targets", 1] == 26
    assert lines["probe", 2, "a", "b", "d"] == 29
    assert lines["probe", 2, "abc"] == 30
    assert lines["probe", 2, "sub", 1, "k"] == 34


def test_every_key_of_the_parsed_document_is_found() -> None:
    assert set(_paths(tomllib.loads(TEXT))) - {("probe",), ("probe", 2, "sub")} <= set(key_lines(TEXT))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.toml")), ids=lambda path: path.stem)
def test_files_of_all_sorts_are_scanned(path: Path) -> None:
    text = path.read_text()
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = key_lines(text)
    missing = [path for path in _paths(document) if path not in found and (*path, 0) not in found]
    assert missing == []


keys = st.text(st.characters(codec="utf-8"), max_size=6)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
documents = st.dictionaries(
    keys, values | st.lists(st.dictionaries(keys, values, max_size=3), min_size=1, max_size=3), max_size=4
)


@given(documents)
def test_any_document_is_scanned(document: dict[str, Any]) -> None:
    text = to_toml(document)
    assert tomllib.loads(text) == document
    lines = key_lines(text)
    assert all(1 <= line <= text.count("\n") for line in lines.values())
    missing = [path for path in _paths(document) if path not in lines and (*path, 0) not in lines]
    assert missing == []


def test_windows_line_ends_count_once() -> None:
    assert key_lines("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


def test_an_unknown_path_has_the_line_of_the_table_around_it() -> None:
    source = places.Source("f.toml", {("probe", 0): 4, ("probe", 0, "name"): 5})
    assert source.line(("probe", 0, "interval")) == 4
    assert source.line(("probe", 0, "name")) == 5
    assert source.line(("host",)) is None


def _paths(value: Any, path: places.Path = ()) -> Iterator[places.Path]:
    if path:
        yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _paths(part, (*path, key))
