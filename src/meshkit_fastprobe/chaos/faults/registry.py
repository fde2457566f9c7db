"""Fault kinds by name. Registering a taken name fails at once; nothing is ever loaded unasked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeVar, cast

import msgspec

from meshkit_fastprobe.chaos.faults.base import Fault
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError, DuplicateNameError

K = TypeVar("K", bound=type[msgspec.Struct])

RESERVED: Final = frozenset(
    {"id", "fault", "duration", "reason", "steady_state", "namespace", "cluster", "labels", "cooldown", "two_person"}
)
"""What no kind may call a field of its own: these keys mean the same for every experiment."""
METHODS: Final = ("preflight", "plan", "apply", "verify", "revert", "is_gone", "scan")

_name = re.compile("[a-z][a-z0-9_]{0,31}")


class FaultRegistry:
    """Fault kinds that experiments may name."""

    def __init__(self) -> None:
        self._kinds: dict[str, type[msgspec.Struct]] = {}

    def register(self, kind: type[msgspec.Struct]) -> None:
        """Make a kind known. ConfigError says what keeps a class from being one, DuplicateNameError that its name is taken."""
        name = _check(kind)
        taken = self._kinds.get(name)
        if taken is not None:
            raise DuplicateNameError(
                f"fault kind {name!r}", f"{kind.__qualname__} wants a name that {taken.__qualname__} has", "choose another name"
            )
        self._kinds[name] = kind

    def __getitem__(self, name: str) -> type[msgspec.Struct]:
        return self._kinds[name]

    def as_fault(self, name: str) -> type[Fault]:
        """The same class, as what it can do. KeyError when there is no such kind."""
        return cast("type[Fault]", self._kinds[name])

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._kinds))

    def __len__(self) -> int:
        return len(self._kinds)

    def copy(self) -> FaultRegistry:
        """A registry of its own with the same kinds, for plug-ins to add to."""
        twin = FaultRegistry()
        twin._kinds.update(self._kinds)
        return twin


def _check(kind: type[msgspec.Struct]) -> str:
    where = f"fault kind {getattr(kind, '__qualname__', kind)!s}"
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen):
        raise ConfigError(where, "it is not a frozen msgspec Struct", "write class Kind(msgspec.Struct, frozen=True)")
    name = getattr(kind, "kind", None)
    if not isinstance(name, str) or not _name.fullmatch(name):
        raise ConfigError(where, f"{shown(name)} is not a name for a kind", 'write kind: ClassVar[str] = "name", in lower case')
    taken = {field.encode_name for field in msgspec.structs.fields(kind)} & RESERVED
    if taken:
        raise ConfigError(
            where, f"{', '.join(sorted(taken))} is a key of every experiment", "choose another name for the field"
        )
    missing = [method for method in METHODS if not callable(getattr(kind, method, None))]
    if missing or not isinstance(getattr(kind, "lasts", None), bool):
        raise ConfigError(where, f"it lacks {', '.join(missing) or 'lasts'}", "see chaos/faults/base.py for what a fault has")
    return name


builtin_faults = FaultRegistry()


def fault(registry: FaultRegistry = builtin_faults) -> Callable[[K], K]:
    """Class decorator: make a kind known under its `kind` name."""

    def register(kind: K) -> K:
        registry.register(kind)
        return kind

    return register
