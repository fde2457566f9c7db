"""Kinds by name. Registering a taken name fails at once; nothing is ever loaded unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from meshkit_fastprobe.errors import ConfigError, DuplicateNameError

K = TypeVar("K", bound=type[msgspec.Struct])

MAX_KINDS = 255


class ProbeRegistry:
    """Probe kinds that configuration may name. Dense numbers: the table's `kind` column."""

    def __init__(self) -> None:
        self._kinds: dict[str, type[msgspec.Struct]] = {}

    def register(self, kind: type[msgspec.Struct]) -> None:
        name: str = kind.kind  # type: ignore[attr-defined]
        if name in self._kinds:
            raise DuplicateNameError(
                f"probe kind {name!r}",
                f"{kind.__qualname__} wants a name that {self._kinds[name].__qualname__} has",
                "choose another name",
            )
        if len(self._kinds) >= MAX_KINDS:
            raise ConfigError(f"probe kind {name!r}", f"more than {MAX_KINDS} kinds", "register fewer kinds")
        self._kinds[name] = kind

    def __getitem__(self, name: str) -> type[msgspec.Struct]:
        return self._kinds[name]

    def __contains__(self, name: str) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def copy(self) -> ProbeRegistry:
        twin = ProbeRegistry()
        twin._kinds.update(self._kinds)
        return twin


builtin_kinds = ProbeRegistry()


def probe_kind(registry: ProbeRegistry = builtin_kinds) -> Callable[[K], K]:
    """Class decorator: make a kind known under its `kind` name."""

    def register(kind: K) -> K:
        registry.register(kind)
        return kind

    return register
