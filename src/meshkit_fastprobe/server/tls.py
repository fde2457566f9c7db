"""TLS of the endpoints: our certificate, whose clients are known by theirs, and which protocols are spoken inside."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import TlsSettings
from meshkit_fastprobe.security.certificates import Revocations

ALPN: Final = ("h2", "http/1.1")
_WHERE: Final = "server.tls"


class Tls(msgspec.Struct, frozen=True, eq=False):
    """names: those of our certificate, in lower case, as Host headers carry them."""

    context: ssl.SSLContext
    names: frozenset[str]
    revocations: Revocations | None


def read_tls(settings: TlsSettings) -> Tls:
    """ConfigError for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols([*ALPN])
    try:
        context.load_cert_chain(settings.cert, settings.key)
    except OSError as error:  # an SSLError is one
        raise ConfigError(
            f"{_WHERE}.cert",
            f"{settings.cert} with {settings.key}: {_said(error)}",
            "name a certificate in PEM and its own key",
        ) from error
    revocations = None
    if settings.client_ca is not None:
        revocations = _ask_for_certificates(context, settings.client_ca, settings.client_crl)
    return Tls(context, _names(Path(settings.cert)), revocations)


def tls_of(context: ssl.SSLContext) -> Tls:
    """Of a context that somebody else has made, and renews: it is told which protocols there are, and left as it is."""
    context.set_alpn_protocols([*ALPN])
    return Tls(context, frozenset(), None)


def _ask_for_certificates(context: ssl.SSLContext, client_ca: str, client_crl: str | None) -> Revocations | None:
    """Asked for, not demanded: whoever shows none may still come with a token."""
    where = f"{_WHERE}.client_ca"
    try:
        context.load_verify_locations(client_ca)
        authority = x509.load_pem_x509_certificates(Path(client_ca).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(where, f"{client_ca}: {_said(error)}", "name the authority's certificate in PEM") from error
    context.verify_mode = ssl.CERT_OPTIONAL
    return None if client_crl is None else Revocations(Path(client_crl), authority[0])


def _names(cert: Path) -> frozenset[str]:
    certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    written = {f"[{address}]" if ":" in address else address for address in addresses}
    return frozenset({name.lower() for name in names.get_values_for_type(x509.DNSName)} | written)


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
