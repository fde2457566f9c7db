"""Output that nobody reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def nobody_reads() -> Iterator[IO[str]]:
    """The end of a pipe to write to; the other one is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as end:
        yield end
