"""Parts that the types of several tables share, and what the JSON Schema says of them: words, numbers, times, days."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from meshkit_fastprobe.config.durations import DURATION_PATTERN
from meshkit_fastprobe.model import MAX_NAME_LENGTH

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AT_PATTERN: Final = "^([01][0-9]|2[0-3]):[0-5][0-9]$"

_DURATION: Final = {"pattern": DURATION_PATTERN, "minimum": 0}

Span: TypeAlias = float | str


def lasting(says: str) -> Meta:
    return Meta(description=f'{says} Seconds, or text like "250ms", "5s", "1h30m".', extra_json_schema=_DURATION)


def words(says: str, *, least: int = 0) -> Meta:
    return Meta(description=says, extra_json_schema={"minLength": least, "maxLength": MAX_NAME_LENGTH})


def bounded(says: str, lowest: float, highest: float) -> Meta:
    return Meta(description=says, extra_json_schema={"minimum": lowest, "maximum": highest})


def at_of_day(says: str) -> Meta:
    return Meta(description=says, extra_json_schema={"pattern": AT_PATTERN})


Days: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(extra_json_schema={"enum": list(WEEKDAYS)})], ...],
    Meta(description="Days of the week on which it begins.", extra_json_schema={"minItems": 1, "uniqueItems": True}),
]
LastsEachTime: TypeAlias = Annotated[Span, lasting("How long it lasts each time, 1s to 7d.")]
TimeZone: TypeAlias = Annotated[str, words("Of times that do not say it themselves; by default UTC.", least=1)]
