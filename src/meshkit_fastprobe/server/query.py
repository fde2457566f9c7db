"""Query parameters, strictly: what is not known is refused by name, what is known has a bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from meshkit_fastprobe.server.problems import INVALID_PARAMETER, UNKNOWN_PARAMETER, Problem

T = TypeVar("T")

MAX_PARAMETERS: Final = 64


class Parameter(msgspec.Struct, frozen=True):
    """One that a route takes: in the table of routes, so that the OpenAPI description says what the handler reads."""

    name: str
    says: str
    schema: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "string"})
    repeatable: bool = False


class Query:
    """The parameters of one request, of those that its route takes."""

    def __init__(self, query_string: str, parameters: Sequence[Parameter]) -> None:
        try:
            pairs = parse_qsl(query_string, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
        except ValueError:
            raise Problem(
                INVALID_PARAMETER, f"the query is not UTF-8, or has more than {MAX_PARAMETERS} parameters", "encode it as %XX"
            ) from None
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)
        self._refuse_unknown([parameter.name for parameter in parameters])
        repeatable = {parameter.name for parameter in parameters if parameter.repeatable}
        for name, values in self._values.items():
            if len(values) > 1 and name not in repeatable:
                raise invalid(name, "is given more than once", "give it once")

    def one(self, name: str, parse: Callable[[str], T], default: T) -> T:
        values = self._values.get(name)
        return parse(values[0]) if values else default

    def text(self, name: str) -> str | None:
        values = self._values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def _refuse_unknown(self, known: Sequence[str]) -> None:
        unknown = [name for name in self._values if name not in known]
        if not unknown:
            return
        close = get_close_matches(unknown[0], known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        takes = f"this path takes: {', '.join(known)}" if known else "this path takes no parameters"
        raise Problem(UNKNOWN_PARAMETER, f"unknown: {', '.join(unknown)}", hint + takes)


def invalid(name: str, problem: str, hint: str) -> Problem:
    return Problem(INVALID_PARAMETER, f"{name} {problem}", hint)


def whole_number(name: str, low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
            raise invalid(name, f"is {text[:40]!r}", f"give a whole number from {low} to {high}")
        return int(text)

    return parse


def word_of(name: str, words: Mapping[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            return words[text]
        except KeyError:
            raise invalid(name, f"is {text[:40]!r}", f"one of: {', '.join(words)}") from None

    return parse


TRUTH: Final = {"true": True, "false": False}
