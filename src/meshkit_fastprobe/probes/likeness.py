"""Of probes that differ in their targets alone, and have the default name, one is kept: their names tell the rest.

A million of them would otherwise keep 128 bytes each to say what stands in their names, or twice that of a kind with headers.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeAlias, cast

import msgspec

from meshkit_fastprobe.probes.base import Probe

MOST_KIND_CHARACTERS: Final = 200
"""A registration keeps in one byte where its target begins."""

OtherFields: TypeAlias = Callable[[Probe], Any]
"""What a probe holds besides its target."""


class Likenesses:
    """Remembers the last probe of each kind: those that are alike come one after another."""

    def __init__(self) -> None:
        self._others: dict[type, OtherFields | None] = {}
        self._last: dict[type, tuple[Probe, Any]] = {}

    def of(self, name: str, probe: Probe) -> tuple[Probe, int]:
        """What to keep for it, and where in its name the target begins; itself and 0 when it is like no other."""
        kind = type(probe)
        try:
            others = self._others[kind]
        except KeyError:
            others = self._others[kind] = _others_of(kind)
        if others is None or name != f"{probe.kind}:{probe.target}":
            return probe, 0
        held = others(probe)
        last = self._last.get(kind)
        if last is None or last[1] != held:
            last = self._last[kind] = (probe, held)
        return last[0], len(probe.kind) + 1


def _others_of(kind: type) -> OtherFields | None:
    """None of a kind that cannot be made again from its fields."""
    if not issubclass(kind, msgspec.Struct) or not kind.__struct_config__.frozen or kind.__struct_config__.dict:
        return None
    if len(cast("Any", kind).kind) > MOST_KIND_CHARACTERS:
        return None
    fields = [field for field in kind.__struct_fields__ if field != "target"]
    if len(fields) == len(kind.__struct_fields__):
        return None
    return cast("OtherFields", attrgetter(*fields)) if fields else lambda _: None
