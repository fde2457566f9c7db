"""Kinds by name. Registering a taken name fails at once; nothing is ever loaded unasked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec

from meshkit_fastprobe.config.kinds import RESERVED
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError, DuplicateNameError
from meshkit_fastprobe.probes.base import lane_of

K = TypeVar("K", bound=type[msgspec.Struct])

MAX_KINDS: Final = 255
"""The table's `kind` column is a byte."""

_name = re.compile("[a-z][a-z0-9_]{0,31}")


class ProbeRegistry:
    """Probe kinds that configuration may name: frozen msgspec Structs whose fields are the keys people write."""

    def __init__(self) -> None:
        self._kinds: dict[str, type[msgspec.Struct]] = {}

    def register(self, kind: type[msgspec.Struct]) -> None:
        """Make a kind known. ConfigError says what keeps a class from being one, DuplicateNameError that its name is taken."""
        name = _check(kind)
        taken = self._kinds.get(name)
        if taken is not None:
            raise DuplicateNameError(
                f"probe kind {name!r}", f"{kind.__qualname__} wants a name that {taken.__qualname__} has", "choose another name"
            )
        if len(self._kinds) >= MAX_KINDS:
            raise ConfigError(
                f"probe kind {name!r}", f"there are {MAX_KINDS} kinds, which is the bound", "register fewer kinds"
            )
        self._kinds[name] = kind

    def __getitem__(self, name: str) -> type[msgspec.Struct]:
        return self._kinds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def copy(self) -> ProbeRegistry:
        """A registry of its own with the same kinds, for plug-ins to add to."""
        twin = ProbeRegistry()
        twin._kinds.update(self._kinds)
        return twin


def _check(kind: type[msgspec.Struct]) -> str:
    """The name of a kind that can be one."""
    where = f"probe kind {getattr(kind, '__qualname__', kind)!s}"
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen):
        raise ConfigError(where, "it is not a frozen msgspec Struct", "write class Kind(msgspec.Struct, frozen=True)")
    name = getattr(kind, "kind", None)
    if not isinstance(name, str) or not _name.fullmatch(name):
        raise ConfigError(where, f"{shown(name)} is not a name for a kind", 'write kind: ClassVar[str] = "name", in lower case')
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    if "target" not in fields:
        raise ConfigError(where, "it has no field named target", "add target: str")
    if fields & RESERVED:
        raise ConfigError(
            where, f"{', '.join(sorted(fields & RESERVED))} is a key of every probe", "choose another name for the field"
        )
    if lane_of(kind) is None:
        raise ConfigError(where, "no lane can run it", "add endpoint and compile(), or check()")
    return name


builtin_kinds = ProbeRegistry()


def probe_kind(registry: ProbeRegistry = builtin_kinds) -> Callable[[K], K]:
    """Class decorator: make a kind known under its `kind` name."""

    def register(kind: K) -> K:
        registry.register(kind)
        return kind

    return register
