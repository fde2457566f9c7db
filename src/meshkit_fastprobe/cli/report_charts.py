"""Lines over time as inline SVG. A line ends where a value is missing, and what nobody watched is hatched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

import msgspec

WIDTH: Final = 640
HEIGHT: Final = 190
LEFT, RIGHT, TOP, BOTTOM = 70, 12, 14, 26
_PAD: Final = 0.06


class Line(msgspec.Struct, frozen=True):
    name: str
    style: str
    values: Sequence[float | None]


def chart(
    name: str,
    heading: str,
    lines: Sequence[Line],
    missing: Sequence[bool],
    ticks: Sequence[tuple[float, str]],
    say: Callable[[float], str],
    *,
    ceiling: float | None = None,
    logarithmic: bool = False,
) -> str:
    """name: of this chart alone in its page.

    missing: steps in which nobody watched. ticks: places along the bottom, 0 to 1. ceiling: as high as values can be.
    """
    known = [value for line in lines for value in line.values if value is not None and math.isfinite(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = math.log if logarithmic and low > 0 else float
    bottom, top = _bounds(scale(low), scale(high), None if ceiling is None else scale(ceiling))
    steps = max(len(missing), 1)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / steps

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (top - scale(value)) / (top - bottom)

    pattern = f"hatch-{name}"
    said = escape(f"{heading}: {say(low)} to {say(high)}")
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">',
        f'<defs><pattern id="{pattern}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
        '<path d="M0 0V6" class="hatch"/></pattern></defs>',
        *(_gap(x(start), x(end), pattern) for start, end in _stretches(missing)),
        *(_level(y(value), say(value)) for value in _levels(low, high, logarithmic=scale is math.log)),
        *(_tick(LEFT + (WIDTH - LEFT - RIGHT) * at, text) for at, text in ticks),
        *(f'<path class="line {line.style}" d="{_path(line.values, x, y)}"/>' for line in lines),
        "</svg>",
    ]
    legend = "".join(f'<span class="{line.style}">{escape(line.name)}</span>' for line in lines) if len(lines) > 1 else ""
    return f"<figure><figcaption>{escape(heading)}{legend}</figcaption>{''.join(parts)}</figure>"


def _bounds(low: float, high: float, ceiling: float | None) -> tuple[float, float]:
    spread = (high - low) or abs(high) * 0.1 or 1.0
    top = high + spread * _PAD
    return low - spread * _PAD, top if ceiling is None else min(top, ceiling + spread * _PAD)


def _levels(low: float, high: float, *, logarithmic: bool) -> list[float]:
    middle = math.sqrt(low * high) if logarithmic else (low + high) / 2
    return [low, middle, high] if high > low else [low]


def _path(values: Sequence[float | None], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """A stroke for each run of known values; one that stands alone is a dash as wide as its step."""
    strokes: list[str] = []
    for start, end in _stretches([value is not None for value in values]):
        points = [(x(at + 0.5), y(value)) for at in range(start, end) if (value := values[at]) is not None]
        if len(points) == 1:
            points = [(x(start + 0.1), points[0][1]), (x(end - 0.1), points[0][1])]
        strokes.append("M" + "L".join(f"{across:.1f} {down:.1f}" for across, down in points))
    return "".join(strokes)


def _stretches(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """(first, end) of each run of true ones."""
    start: int | None = None
    for at, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = at
        elif not flag and start is not None:
            yield start, at
            start = None


def _gap(left: float, right: float, pattern: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - TOP - BOTTOM}" fill="url(#{pattern})">'
        "<title>nobody watched</title></rect>"
    )


def _level(down: float, text: str) -> str:
    line = f'<path class="level" d="M{LEFT} {down:.1f}H{WIDTH - RIGHT}"/>'
    return f'{line}<text class="axis end" x="{LEFT - 8}" y="{down + 4:.1f}">{escape(text)}</text>'


def _tick(across: float, text: str) -> str:
    return f'<text class="axis middle" x="{across:.1f}" y="{HEIGHT - 8}">{escape(text)}</text>'
