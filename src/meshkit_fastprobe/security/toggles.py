"""Switches of a host that outlive it: named, versioned, kept in one small file that is replaced whole.

The configuration may put a ceiling over a switch. At the start, and for every change, the ceiling wins over what is stored:
whoever can reach the endpoints cannot switch on what the file keeps off.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from meshkit_fastprobe.errors import ConfigError

Value: TypeAlias = bool | str

FILE: Final = "toggles.json"
MAX_FILE_BYTES: Final = 1 << 20
MAX_REASON_LENGTH: Final = 500


class Declared(msgspec.Struct, frozen=True):
    """A switch there is. choices: the words it takes; none: it is on or off. stops: what only ends or forbids harm."""

    name: str
    default: Value
    does: str
    choices: tuple[str, ...] = ()
    stops: Value | None = None


class Toggle(msgspec.Struct, frozen=True, kw_only=True):
    """A switch as it stands. version counts changes, from 0; changed_* are of the last one, in seconds since the epoch."""

    name: str
    value: Value
    version: int = 0
    changed_at: float | None = None
    changed_by: str = ""
    reason: str = ""


class ToggleRefusedError(Exception):
    """The change cannot be made. The message is for whoever asked."""


class VersionMismatchError(ToggleRefusedError):
    """Somebody else was faster: the switch stands at another version."""


class _File(msgspec.Struct):
    toggles: dict[str, Toggle]


class Toggles:
    """The switches of one host. directory None keeps changes in memory. ConfigError for a file that cannot be read."""

    def __init__(
        self,
        declared: Iterable[Declared],
        ceilings: Mapping[str, Value],
        directory: Path | None,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.declared: Final = {one.name: one for one in declared}
        unknown = sorted(ceilings.keys() - self.declared.keys())
        if unknown:
            raise ConfigError(f"toggles.{unknown[0]}", "there is no such toggle", f"known: {', '.join(self.declared)}")
        self._ceilings = ceilings
        self._path = None if directory is None else directory / FILE
        self._now_s = now_s
        self._keeping = threading.Lock()
        stored = {} if self._path is None else _read(self._path)
        self._toggles = {
            name: self._below_ceiling(stored.get(name, Toggle(name=name, value=one.default)))
            for name, one in self.declared.items()
        }

    def __iter__(self) -> Iterator[Toggle]:
        return iter(self._toggles.values())

    def __getitem__(self, name: str) -> Toggle:
        """KeyError when there is no such switch."""
        return self._toggles[name]

    def ceiling(self, name: str) -> Value | None:
        return self._ceilings.get(name)

    def changed(self, name: str, value: object, version: int | None, *, by: str, reason: str) -> Toggle:
        """What a change would come to; nothing is kept before `keep`. version None: whatever it stands at.

        KeyError when there is no such switch, ToggleRefusedError when it cannot be so.
        """
        now, one = self._toggles[name], self.declared[name]
        if version is not None and version != now.version:
            raise VersionMismatchError(f"{name} stands at version {now.version}, not {version}")
        if one.choices and value not in one.choices:
            raise ToggleRefusedError(f"{name} takes one of: {', '.join(one.choices)}")
        if not one.choices and not isinstance(value, bool):
            raise ToggleRefusedError(f"{name} takes true or false")
        assert isinstance(value, bool | str)
        if self._is_above(name, value):
            raise ToggleRefusedError(f"the configuration of the host keeps {name} at {word_of(self._ceilings[name])}")
        if len(reason) > MAX_REASON_LENGTH or not reason.isprintable():
            raise ToggleRefusedError(f"reason takes up to {MAX_REASON_LENGTH} printable characters")
        return Toggle(name=name, value=value, version=now.version + 1, changed_at=self._now_s(), changed_by=by, reason=reason)

    def keep(self, toggle: Toggle) -> None:
        """On the disk, then in force; OSError, and neither, when the disk does not take it. Blocks; from any thread.

        VersionMismatchError when another change was kept since this one was made.
        """
        with self._keeping:
            self._keep(toggle, durably=True)

    def hold(self, toggle: Toggle) -> None:
        """In force until the host stops, for want of a disk that takes it."""
        with self._keeping:
            self._keep(toggle, durably=False)

    def _keep(self, toggle: Toggle, *, durably: bool) -> None:
        if toggle.version != self._toggles[toggle.name].version + 1:
            raise VersionMismatchError(f"{toggle.name} was changed meanwhile")
        toggles = {**self._toggles, toggle.name: toggle}
        if self._path is not None and durably:
            _write(self._path, _File({name: one for name, one in toggles.items() if one.version}))
        self._toggles = toggles

    def _below_ceiling(self, toggle: Toggle) -> Toggle:
        if not self._is_above(toggle.name, toggle.value):
            return toggle
        return msgspec.structs.replace(toggle, value=self._ceilings[toggle.name])

    def _is_above(self, name: str, value: Value) -> bool:
        """A ceiling of off keeps off; one over words leaves no choice."""
        ceiling = self._ceilings.get(name)
        return ceiling is not None and value != ceiling and (value is True or isinstance(value, str))


def _read(path: Path) -> dict[str, Toggle]:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=_File).toggles
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(
            "host.state_dir", f"{path}: {error}", "repair it, or remove it to have all switches at their defaults"
        ) from error


def _write(path: Path, file: _File) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            os.write(descriptor, msgspec.json.format(msgspec.json.encode(file)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def word_of(value: Value) -> str:
    """As people say it."""
    return value if isinstance(value, str) else "on" if value else "off"
