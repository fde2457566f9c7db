"""What it costs to hold something back."""

from __future__ import annotations

from typing import Final

ITEM_BYTES: Final = 256
"""Of memory for each thing that waits, beside its own bytes: without them a bound would let any number of empty ones wait."""
