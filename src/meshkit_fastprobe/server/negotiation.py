"""Which of the forms we speak a reader likes best (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
MSGPACK_NAMES: Final = (MSGPACK, "application/x-msgpack", "application/vnd.msgpack")

MAX_RANGES: Final = 32
"""Media ranges looked at in one Accept header."""


def choose(accept: str, offers: Sequence[str]) -> str:
    """The offer (type/subtype) with the highest weight, the earlier one on a tie; the first when the reader likes none of them.

    Better an answer in a form they did not ask for than a 406 to an operator with a plain curl.
    """
    ranges = [_weighted(item) for item in accept.split(",")[:MAX_RANGES] if item.strip()]
    if not ranges:
        return offers[0]
    return max(offers, key=lambda offer: _weight(offer, ranges))


def _weight(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The most specific range that covers the offer decides, even when a wider one weighs more."""
    for wanted in (offer, offer.partition("/")[0] + "/*", "*/*"):
        weights = [weight for media, weight in ranges if media == wanted]
        if weights:
            return max(weights)
    return 0.0


def _weighted(item: str) -> tuple[str, float]:
    media, *parameters = (part.strip().lower() for part in item.split(";"))
    weight = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                weight = 0.0
    return media, weight if 0.0 <= weight <= 1.0 else 0.0
