"""Contexts: sets of hosts with what it takes to ask them, by name, as the operator wrote them down.

`$FASTPROBE_CONFIG`, else `fastprobe/config.toml` under `$XDG_CONFIG_HOME` or `~/.config`. Paths in it are relative to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.places import find_token

DEFAULT_HOST: Final = "http://127.0.0.1:9464"
MAX_HOSTS: Final = 10_000
CONTEXT_VARIABLE: Final = "FASTPROBE_CONTEXT"
"""Which context to use; --context sets it for one command."""


class Context(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hosts by URL, a file of URLs, or both; the token and the certificates that go with them."""

    hosts: tuple[str, ...] = ()
    hosts_file: str = ""
    token_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current: str = ""
    context: dict[str, Context] = {}


class Asked(msgspec.Struct, frozen=True):
    """Whom a command asks, and as whom: token None shows none."""

    hosts: list[str]
    token: str | None
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


def config_file() -> Path:
    named = os.environ.get("FASTPROBE_CONFIG")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "fastprobe" / "config.toml"


def read_contexts() -> File:
    """Empty when there is no file. CliError for one that cannot be read."""
    path = config_file()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=File)
    except FileNotFoundError:
        return File()
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}", "make it readable, or name another with FASTPROBE_CONFIG") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        next_step = 'it holds current = "NAME", and [context.NAME] with hosts = ["http://HOST:PORT"]'
        raise CliError(f"{path}: {error}", next_step) from None


def named(file: File, name: str) -> Context:
    """CliError when there is none of this name."""
    found = file.context.get(name)
    if found is None:
        near = get_close_matches(name, file.context, 1)
        next_step = f"did you mean {near[0]}?" if near else "list them with: fastprobe context list"
        raise CliError(f"{config_file()} has no context named {name!r}", next_step)
    return found


def asked(hosts: Sequence[str], token_file: Path | None) -> Asked:
    """Hosts that were named come before a context, whose token then stays at home unless the context was named too."""
    wanted = os.environ.get(CONTEXT_VARIABLE, "")
    if hosts and not wanted:
        return _without_context(urls(hosts), token_file)
    file = read_contexts()
    name = wanted or file.current
    if not name:
        return _without_context(urls(hosts) or [DEFAULT_HOST], token_file)
    context = named(file, name)
    folder = config_file().parent
    if token_file is None and not os.environ.get("FASTPROBE_TOKEN") and context.token_file:
        token_file = _inside(folder, context.token_file)
    whom = urls(hosts) or hosts_of(context, name)
    return Asked(
        whom,
        find_token(token_file, whom),
        _own(folder, context.ca_file, "FASTPROBE_CA_FILE"),
        _own(folder, context.cert_file, "FASTPROBE_CERT_FILE"),
        _own(folder, context.key_file, "FASTPROBE_KEY_FILE"),
    )


def hosts_of(context: Context, name: str) -> list[str]:
    """All hosts of a context. CliError when there are none."""
    written = list(context.hosts)
    if context.hosts_file:
        written.append(f"@{_inside(config_file().parent, context.hosts_file)}")
    found = urls(written)
    if not found:
        raise CliError(
            f"context {name!r} names no host", f"write hosts or hosts_file under [context.{name}] in {config_file()}"
        )
    return found


def urls(written: Sequence[str], where: str = "--host") -> list[str]:
    """The base of every request to each host, once each; @FILE stands for the hosts in a file, one a line.

    where: what a mistake is put down to.
    """
    found: dict[str, None] = {}
    for one in written:
        if one.startswith("@"):
            found.update((_url(line, f"{one[1:]}:{number}"), None) for number, line in _lines(Path(one[1:])))
        else:
            found[_url(one, where)] = None
    if len(found) > MAX_HOSTS:
        raise CliError(f"{len(found):,} hosts are more than {MAX_HOSTS:,}", "ask fewer at once")
    return list(found)


def _without_context(hosts: list[str], token_file: Path | None) -> Asked:
    own = (os.environ.get(f"FASTPROBE_{name}_FILE", "") for name in ("CA", "CERT", "KEY"))
    return Asked(hosts, find_token(token_file, hosts), *own)


def _own(folder: Path, written: str, variable: str) -> str:
    """A file that the environment names comes before that of the context, as with the token."""
    return os.environ.get(variable, "") or (str(_inside(folder, written)) if written else "")


def _inside(folder: Path, written: str) -> Path:
    return folder / Path(written).expanduser()


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise CliError(f"cannot read the hosts in {path}: {reason}", "write one URL a line; # begins a comment") from None
    told = [(number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    return [(number, line) for number, line in told if line]


def _url(host: str, where: str) -> str:
    """CliError for what is no http URL of a host: http.client would ask port 99999 at 34463."""
    url = (host if "://" in host else f"http://{host}").rstrip("/")
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        whole = whole and not re.search(r"[\s?#\x00-\x20\x7f]", url)
    except ValueError:
        whole = False
    if not whole:
        raise CliError(f"{where}: {host!r} is not the URL of a host", "write http://HOST:PORT", Exit.USAGE)
    return url
