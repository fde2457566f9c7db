"""The audit, told elsewhere too: JSON lines in a file, or syslog. For who does not want to trust this host alone.

A copy follows the store: what it could not take is told again from there once it takes records again, in order, so a copy that
was away has no gap. A file whose end is not of this audit is told all of it, since a number alone would be believed of another
audit, too: what it lacks would never come. Used from the audit's thread alone.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec

from meshkit_fastprobe.config.addresses import split_host_port
from meshkit_fastprobe.config.audit import FILE, UDP, UNIX
from meshkit_fastprobe.security.audit_chain import Head, decode
from meshkit_fastprobe.security.audit_store import AuditStore, line_of

AT_ONCE: Final = 512
"""Records told in one go."""
PATIENCE_S: Final = 1.0
"""For a syslog that does not take what it is sent: the audit waits for nobody longer."""
PRIORITY: Final = 13 * 8 + 5
"""Facility 13, log audit; severity 5, notice (RFC 5424)."""
_TAIL_BYTES: Final = 64 * 1024
_UNREADABLE: Final = Head(0, b"")
"""What no audit holds: for a file in whose end there is no record."""

log = logging.getLogger("meshkit_fastprobe.audit")


class Copy(Protocol):
    """OSError from either."""

    def last(self) -> Head | None:
        """The last record it has; None when it cannot tell."""

    def write(self, rows: list[tuple[int, bytes, bytes]]) -> None: ...


class _Line(msgspec.Struct):
    """Of `line_of`, what says which record it is; more than SQLite's 64 bits is no number of ours."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    mac: str


_read_line: Final = msgspec.json.Decoder(_Line).decode


class JsonLines:
    """A file of one object a line, as `fastprobe audit export` writes them; opened anew when it was moved away."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self) -> Head | None:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return Head()
        for text in reversed(lines):
            try:
                line = _read_line(text)
                return Head(line.seq, bytes.fromhex(line.mac))
            except (ValueError, RecursionError):
                continue  # torn by a crash, empty, or not ours
        return _UNREADABLE if size else Head()

    def write(self, rows: list[tuple[int, bytes, bytes]]) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            text = "".join(f"{line_of(content, mac)}\n" for _, content, mac in rows)
            left = memoryview((b"\n" if torn else b"") + text.encode())
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Syslog:
    """RFC 5424, a message a record: to a unix socket, or over UDP."""

    def __init__(self, host: str, family: int, address: str | tuple[str, int]) -> None:
        self._host = host
        self._family = family
        self._address = address

    def last(self) -> Head | None:
        return None

    def write(self, rows: list[tuple[int, bytes, bytes]]) -> None:
        with socket.socket(self._family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE_S)
            sock.connect(self._address)
            for _, content, mac in rows:
                at = datetime.fromtimestamp(decode(content).at_ns / 1e9, UTC).isoformat(timespec="microseconds")
                head = f"<{PRIORITY}>1 {at[:-6]}Z {self._host} fastprobe {os.getpid()} audit - "
                sock.send((head + line_of(content, mac)).encode())


class _Followed:
    def __init__(self, name: str, copy: Copy) -> None:
        self.name = name
        self.copy = copy
        self.seq: int | None = None
        self.failing = False


class Copies:
    """All of one audit. failures: times that one of them took nothing."""

    def __init__(self, host: str, wanted: tuple[str, ...]) -> None:
        self.failures = 0
        self._followed = [_Followed(text, copy_of(host, text)) for text in wanted]
        self._retry_at_s = 0.0

    @property
    def reached(self) -> int | None:
        """All copies have everything up to this record; None when there are no copies."""
        return min((one.seq or 0 for one in self._followed), default=None)

    @property
    def behind(self) -> bool:
        return any(one.failing for one in self._followed)

    def follow(self, store: AuditStore) -> str | None:
        """Tell what is new. What failed, for people; None when every copy has everything. Raises nothing."""
        errors = []
        for one in self._followed:
            try:
                self._tell(one, store)
            except Exception as error:  # noqa: BLE001 - what somebody altered can fail anywhere, and may not end the thread
                errors.append(f"{one.name}: {error}")
                self.failures += 1
                if not one.failing:
                    log.error("the audit's copy takes nothing: %s: %s", one.name, error)
                one.failing = True
            else:
                if one.failing:
                    log.warning("the audit's copy takes records again, and has all of them: %s", one.name)
                one.failing = False
        return "; ".join(errors) or None

    def _tell(self, one: _Followed, store: AuditStore) -> None:
        if one.seq is None:
            one.seq = self._beginning(one, store)
        while rows := store.after(one.seq, AT_ONCE):
            one.copy.write(rows)
            one.seq = rows[-1][0]

    def _beginning(self, one: _Followed, store: AuditStore) -> int:
        """After which record this copy is to be told."""
        known = one.copy.last()
        if known is None:
            return store.head.seq
        if store.holds(known):
            return known.seq
        log.warning(
            "the audit's copy does not end with a record of this audit, so it is told all of it:"
            " some records may be there twice, and those that are here no more are not told: %s",
            one.name,
        )
        return 0

    def retry_due(self) -> bool:
        """Whether to try those that failed, once more: every second."""
        now_s = time.monotonic()
        if not self.behind or now_s < self._retry_at_s:
            return False
        self._retry_at_s = now_s + PATIENCE_S
        return True


def copy_of(host: str, text: str) -> Copy:
    """text: as config/audit.py has checked it."""
    if text.startswith(FILE):
        return JsonLines(Path(text.removeprefix(FILE)))
    if text.startswith(UDP):
        name, port = split_host_port("audit.copy_to", text.removeprefix(UDP))
        return Syslog(host, socket.AF_INET6 if ":" in name else socket.AF_INET, (name, port))
    return Syslog(host, socket.AF_UNIX, text.removeprefix(UNIX))
