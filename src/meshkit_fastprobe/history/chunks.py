"""What each of up to 1,024 probes did in a span, as columns of numbers that compress to little while all is well.

A probe has a number for as long as history knows it; chunk and place in it are that number divided. A column in which all
probes agree is one number, the others have as many bytes a cell as their largest needs, and all of it goes through zlib: a
chunk at rest is some tens of bytes, and reading one probe over a day reads one chunk of each span.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.history.spans import RESULTS, STATES

CHUNK: Final = 1024
"""Probes in one. More would compress a little better, and cost more to read for one probe."""
RUNS: Final = slice(0, RESULTS)
STATE_MS: Final = slice(RESULTS, RESULTS + STATES)
TRANSITIONS: Final = RESULTS + STATES
STATE: Final = TRANSITIONS + 1
WIDTH: Final = STATE + 1
"""Columns of a span: runs by result, milliseconds by state, transitions, the state at its end."""
P50, P90, P99, SAMPLES, COMPACT, LATENCY_WIDTH = range(6)
"""Columns of latencies: numbers of buckets, how many runs they are of, and whether the buckets are those of a compact table."""
_ZLIB_LEVEL: Final = 1
_TYPES: Final = (np.dtype("u1"), np.dtype("<u2"), np.dtype("<u4"))


class DamageError(Exception):
    """What was read is nothing that was written here."""


class Chunk(msgspec.Struct, frozen=True, eq=False):
    """Cells of places that are not present are zero."""

    present: NDArray[np.bool_]
    """(CHUNK,)"""
    cells: NDArray[np.uint32]
    """(columns, CHUNK)"""

    @classmethod
    def empty(cls, width: int) -> Chunk:
        return cls(np.zeros(CHUNK, np.bool_), np.zeros((width, CHUNK), np.uint32))


def encode(chunk: Chunk) -> bytes:
    present = chunk.present
    places = None if present.all() else np.packbits(present).tobytes()
    columns = [_packed(column[present]) for column in chunk.cells]
    return zlib.compress(msgspec.msgpack.encode((places, columns)), _ZLIB_LEVEL)


def decode(content: bytes) -> Chunk:
    """DamageError for what is not one."""
    try:
        return _decode(content)
    except (zlib.error, msgspec.DecodeError, ValueError, TypeError, IndexError) as error:
        raise DamageError(f"a chunk of probes cannot be read: {error}") from error


def _decode(content: bytes) -> Chunk:
    places, columns = msgspec.msgpack.decode(zlib.decompress(content))
    present = np.ones(CHUNK, np.bool_) if places is None else np.unpackbits(np.frombuffer(places, np.uint8)).astype(np.bool_)
    cells = np.zeros((len(columns), CHUNK), np.uint32)
    for at, column in enumerate(columns):
        cells[at, present] = column if isinstance(column, int) else np.frombuffer(column[1], _TYPES[column[0]])
    return Chunk(present, cells)


def accumulate(content: bytes, sums: NDArray[np.uint64]) -> None:
    """Add the first rows of a chunk to sums, (rows, CHUNK), without making one of it: reports read thousands of them."""
    try:
        places, columns = msgspec.msgpack.decode(zlib.decompress(content))
        at: Any = slice(None) if places is None else np.flatnonzero(np.unpackbits(np.frombuffer(places, np.uint8)))
        for row, column in zip(sums, columns, strict=False):
            if column != 0:
                row[at] += np.uint64(column) if isinstance(column, int) else np.frombuffer(column[1], _TYPES[column[0]])
    except (zlib.error, msgspec.DecodeError, ValueError, TypeError, IndexError) as error:
        raise DamageError(f"a chunk of probes cannot be read: {error}") from error


def merge(chunks: Sequence[Chunk]) -> Chunk:
    """Spans of the same probes, oldest first: sums, and the last state."""
    present, cells = chunks[0].present.copy(), chunks[0].cells.copy()
    for chunk in chunks[1:]:
        state = np.where(chunk.present, chunk.cells[STATE], cells[STATE])
        cells += chunk.cells
        cells[STATE] = state
        present |= chunk.present
    return Chunk(present, cells)


def merge_latencies(before: Chunk, after: Chunk) -> Chunk:
    """Two parts of one span. Quantiles do not add up: each probe keeps those that are of more runs."""
    fuller = after.cells[SAMPLES] >= before.cells[SAMPLES]
    return Chunk(before.present | after.present, np.where(fuller, after.cells, before.cells))


def place(number: int) -> tuple[int, int]:
    """Chunk, and place in it, of a probe."""
    return divmod(number, CHUNK)


def _packed(column: NDArray[np.uint32]) -> Any:
    if not len(column):
        return 0
    highest = int(column.max())
    if highest == int(column.min()):
        return highest
    size = (highest > 0xFF) + (highest > 0xFFFF)
    return size, column.astype(_TYPES[size]).tobytes()
