"""What TLS is asked of a target, and as whom: shared by every kind that speaks it."""

from __future__ import annotations

import os
import ssl
from typing import Final, Literal

import msgspec

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.tls_transport import watch_certificates

MAX_CONTEXTS: Final = 256
MAX_ALPN: Final = 8
MAX_ALPN_BYTES: Final = 255

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Whom to trust, whom to expect, and who we are. Empty: the system's authorities, the target's host, nobody.

    cert_file holds our certificate and those above it; its key stands there too, or in key_file. All files are PEM.
    verify False takes any certificate unseen.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    verify: bool = True
    min_version: Literal["1.2", "1.3"] = "1.2"

    def __post_init__(self) -> None:
        for key in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, key)
            if path and (not os.path.isabs(path) or "\0" in path):  # noqa: PTH117 - no Path: a hundred thousand probes pass here
                raise ConfigError(f"Tls.{key}", f"{shown(path)} is not an absolute path", "write it from / on")
        if self.key_file and not self.cert_file:
            raise ConfigError("Tls.key_file", "a key without its certificate", "add cert_file")
        if self.ca_file and not self.verify:
            raise ConfigError("Tls.ca_file", "nothing is verified that it could vouch for", "remove it, or verify = false")
        if self.min_version not in _VERSIONS:
            raise ConfigError("Tls.min_version", f"{shown(self.min_version)} is not known", f"one of {', '.join(_VERSIONS)}")
        if not self.server_name.isprintable() or len(self.server_name) > 253:
            raise ConfigError("Tls.server_name", f"{shown(self.server_name)} is not a name of a host", "correct it")

    def context(self, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A context for these settings, shared by all that are the same. OSError when a file cannot be read or holds no PEM.

        A file that changes on disk makes a new context: certificates are renewed while probes run. What is loaded from the
        system's store is not looked at again.
        """
        key = (self, alpn, *(_stamp(path) for path in (self.ca_file, self.cert_file, self.key_file)))
        found = _contexts.get(key)
        if found is None:
            found = self._make_context(alpn)
            while len(_contexts) >= MAX_CONTEXTS:
                del _contexts[next(iter(_contexts))]
            _contexts[key] = found
        return found

    def _make_context(self, alpn: tuple[str, ...]) -> ssl.SSLContext:
        if self.verify:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.minimum_version = _VERSIONS[self.min_version]
        if self.cert_file:
            # A callback: without one an encrypted key would ask on the terminal, and the event loop would wait for an answer.
            context.load_cert_chain(self.cert_file, self.key_file or None, password=_no_password)
        watch_certificates(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


ANY_TLS: Final = Tls()

_contexts: dict[tuple[object, ...], ssl.SSLContext] = {}
"""Making one costs tens of milliseconds: the system's store has a hundred authorities. Bounded, the oldest goes first. Filled
from the event loop's thread alone."""


def name_for(tls: Tls, host: str) -> str:
    """The name to ask a target at this host for. A scope is ours alone, and the dot of the root is in no certificate."""
    return (tls.server_name or host.partition("%")[0]).removesuffix(".")


def check_alpn(where: str, protocols: tuple[str, ...]) -> None:
    """Refuse protocol names that TLS cannot carry."""
    if len(protocols) > MAX_ALPN:
        raise ConfigError(where, f"{len(protocols)} protocols; the bound is {MAX_ALPN}", "offer fewer")
    for protocol in protocols:
        if not 0 < len(protocol) <= MAX_ALPN_BYTES or not (protocol.isascii() and protocol.isprintable()):
            raise ConfigError(where, f"{shown(protocol)} is not a name of a protocol", 'write names such as "h2"')


def _stamp(path: str) -> tuple[int, int] | None:
    """What changes when the file does; None for no file."""
    if not path:
        return None
    stat = os.stat(path)  # noqa: PTH116 - as above
    return stat.st_mtime_ns, stat.st_ino


def _no_password() -> str:
    raise OSError("the key is encrypted")
