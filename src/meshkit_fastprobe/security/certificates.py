"""Who a client certificate says its holder is. The chain has been checked by TLS before: here a name is read, and a CRL heeded.

The first of these that there is: a SPIFFE id among the URIs, a DNS name, the common name. More than one SPIFFE id is none, as
SPIFFE has it: nobody could say which of them the authority meant.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.security.policy import Principal
from meshkit_fastprobe.security.watched import WatchedFile

MAX_NAME_LENGTH: Final = 2048
_SPIFFE: Final = "spiffe://"

log = logging.getLogger("meshkit_fastprobe.security")


class UnnamedCertificateError(Exception):
    """The certificate names nobody, or is revoked. The message is for our log."""


class Revocations:
    """Serial numbers an authority has taken back, of one CRL file. ConfigError when it cannot be used at the start.

    It is read again when it has changed; one that cannot be used then leaves what was revoked as it was.
    """

    def __init__(self, path: Path, authority: x509.Certificate, now_s: Callable[[], float] = time.time) -> None:
        self._authority = authority
        self._file = WatchedFile(path, now_s)
        self._revoked = self._read()

    def __contains__(self, certificate: x509.Certificate) -> bool:
        if self._file.is_new():
            self._read_again()
        return certificate.serial_number in self._revoked

    def _read_again(self) -> None:
        try:
            self._revoked = self._read()
        except ConfigError as error:
            log.error("certificates taken back not read anew, those from before stay so: %s", error)
            return
        self._file.take()
        log.info("%d certificates are taken back by %s", len(self._revoked), self._file.path)

    def _read(self) -> frozenset[int]:
        path, authority = self._file.path, self._authority
        where = "server.tls.client_crl"
        try:
            crl = x509.load_pem_x509_crl(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(where, f"{path}: {error}", "name a CRL in PEM") from error
        key: Any = (
            authority.public_key()
        )  # the annotation asks for kinds of keys that can sign a CRL; others are refused inside
        if crl.issuer != authority.subject or not crl.is_signature_valid(key):
            raise ConfigError(where, f"{path} is not signed by the client CA", "name the CRL of that authority")
        return frozenset(entry.serial_number for entry in crl)


def principal_of(der: bytes, revocations: Revocations | None = None, now: datetime | None = None) -> Principal:
    """The holder's principal. UnnamedCertificateError when there is none.

    TLS looks at dates once, in the handshake: a connection may outlive the certificate it was made with.
    """
    certificate = x509.load_der_x509_certificate(der)
    if certificate.not_valid_after_utc < (now or datetime.now(UTC)):
        raise UnnamedCertificateError(f"certificate {certificate.serial_number:x} has expired")
    if revocations is not None and certificate in revocations:
        raise UnnamedCertificateError(f"certificate {certificate.serial_number:x} is revoked")
    name = _name_of(certificate)
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise UnnamedCertificateError(f"certificate {certificate.serial_number:x} names nobody")
    return Principal(name)


def _name_of(certificate: x509.Certificate) -> str | None:
    try:
        names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    except ValueError as error:
        raise UnnamedCertificateError(f"names that cannot be read: {error}") from error
    assert isinstance(names, x509.SubjectAlternativeName)
    spiffe = [uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith(_SPIFFE)]
    if len(spiffe) > 1:
        raise UnnamedCertificateError(f"{len(spiffe)} SPIFFE ids")
    if spiffe:
        return spiffe[0]
    hosts = names.get_values_for_type(x509.DNSName)
    if hosts:
        return hosts[0]
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else None
