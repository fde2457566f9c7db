"""Reading one table: unknown keys are refused with what was probably meant, and each value is converted on its own.

So one wrong value does not hide the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion
from meshkit_fastprobe.errors import ConfigError

_WORDS: Final = {
    "object": "a table",
    "array": "an array",
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
}
_at_path = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_expected = re.compile(r"^Expected `(?P<types>[^`]+)`, got `(?P<got>[^`]+)`")


@lru_cache(maxsize=256)
def fields_of(shape: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """The keys of a table's shape."""
    return {field.encode_name: field for field in msgspec.structs.fields(shape)}


def read_table(place: Place, raw: object, shape: type[msgspec.Struct], problems: Problems) -> dict[str, Any]:
    """The keys of `raw` that are known and of the right type, converted; what is wrong goes to `problems`."""
    if not isinstance(raw, Mapping):
        problems.add(place, f"{shown(raw)} is not a table", f"write [{place.path[-1]}] and its keys below")
        return {}
    fields, tables = fields_of(shape), _tables_of(shape)
    read: dict[str, Any] = {}
    for key, value in raw.items():
        field = fields.get(key)
        if field is None:
            problems.add(place.at(str(key)), f"unknown key {shown(key)}", suggestion(str(key), fields))
        elif key in tables and isinstance(value, Mapping) and _unknown_inside(place.at(key), value, tables[key], problems):
            continue
        else:
            try:
                read[field.name] = msgspec.convert(value, field.type, strict=True)
            except msgspec.ValidationError as error:
                explain(place.at(key), value, error, problems, choices=_choices(field.type))
            except ConfigError as error:  # from a struct within the table, which names its own field: HttpExpect.status
                problems.add(place.at(key, *error.where.split(".")[1:]), error.problem, error.fix)
    for key, field in fields.items():
        if field.required and key not in raw:
            problems.add(place, f"{key} is missing", f"add {key} = ...")
    return read


def explain(
    place: Place, value: object, error: msgspec.ValidationError, problems: Problems, *, choices: Sequence[str] = ()
) -> None:
    """Say in the words of TOML what msgspec says in those of Python."""
    text = str(error)
    inner = _at_path.search(text)
    path = inner["path"] if inner else ""
    if path == "[...]" and isinstance(value, Mapping):
        key = next(
            (key for key, part in value.items() if not isinstance(part, str)), None
        )  # msgspec names no key; ours hold text
        place, path = (place.at(str(key)), "") if key is not None else (place, "")
        value = value.get(key, value)
    expected = _expected.match(text)
    if expected is None and choices:
        problems.add(place, f"{shown(value)} is not known", suggestion(str(value), choices))
        return
    if "RFC3339" in text:
        problems.add(f"{place}{path}", f"{shown(value)} is not a time", "write it as 2026-12-01T22:00:00+01:00")
        return
    if expected is None:
        problems.add(f"{place}{path}", f"{shown(value)} cannot be: {_at_path.sub('', text)}")
        return
    types = dict.fromkeys(_WORDS.get(word, word) for word in expected["types"].split(" | "))
    got = (
        f"{shown(value)} has the wrong type"
        if not path
        else f"{shown(value)} holds {_WORDS.get(expected['got'], expected['got'])}"
    )
    problems.add(f"{place}{path}", got, f"write {' or '.join(types)}")


def _unknown_inside(place: Place, value: Mapping[str, object], shape: type[msgspec.Struct], problems: Problems) -> bool:
    """Refuse unknown keys of a table inside the table: msgspec alone would report one at a time, without a suggestion."""
    before = len(problems)
    read_table(place, value, shape, problems)
    return len(problems) > before


@lru_cache(maxsize=256)
def _tables_of(shape: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """The keys of a shape that hold tables with keys of their own."""
    parts = {key: (field.type, *get_args(field.type)) for key, field in fields_of(shape).items()}
    inner = {key: next((part for part in types if _is_struct(part)), None) for key, types in parts.items()}
    return {key: part for key, part in inner.items() if part is not None}


def _choices(kind: Any) -> list[str]:
    """The words that a Literal or an enumeration, alone or in a union, allows."""
    parts = [kind, *get_args(kind)]
    parts += [inner for part in parts if get_origin(part) is Annotated for inner in get_args(part)]
    words = [str(choice) for part in parts if get_origin(part) is Literal for choice in get_args(part)]
    return words + [str(choice) for part in parts if isinstance(part, type) and issubclass(part, StrEnum) for choice in part]


def _is_struct(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, msgspec.Struct)
