from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.security.certificates import Revocations, UnnamedCertificateError, principal_of

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
URI, DNS = x509.UniformResourceIdentifier, x509.DNSName


def subject(common: str | None) -> x509.Name:
    return x509.Name([] if common is None else [x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(*names: x509.GeneralName, common: str | None = "anna", serial: int = 7, key=KEY) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(common))
        .issuer_name(subject("authority"))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def name_of(*names: x509.GeneralName, common: str | None = "anna") -> str:
    return principal_of(certificate(*names, common=common).public_bytes(Encoding.DER)).name


def test_a_spiffe_id_comes_before_a_host_name_and_that_before_the_common_name():
    assert name_of(DNS("cp-1.example"), URI("spiffe://mesh/ns/orders")) == "spiffe://mesh/ns/orders"
    assert name_of(URI("https://example/anna"), DNS("cp-1.example")) == "cp-1.example"
    assert name_of() == "anna"


def test_several_spiffe_ids_are_none():
    with pytest.raises(UnnamedCertificateError, match="2 SPIFFE ids"):
        name_of(URI("spiffe://mesh/a"), URI("spiffe://mesh/b"))


def test_who_has_no_name_is_nobody():
    with pytest.raises(UnnamedCertificateError, match="names nobody"):
        name_of(common=None)


def test_a_name_that_does_not_print_is_none():
    with pytest.raises(UnnamedCertificateError, match="names nobody"):
        name_of(common="anna\x07")


def crl(path: Path, *serials: int, issuer: str = "authority", key=KEY) -> Path:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(subject(issuer))
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(revoked)
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


def test_a_revoked_certificate_names_nobody_and_others_do(tmp_path):
    revocations = Revocations(crl(tmp_path / "crl.pem", 7), certificate(common="authority"))
    with pytest.raises(UnnamedCertificateError, match="certificate 7 is revoked"):
        principal_of(certificate().public_bytes(Encoding.DER), revocations)
    assert principal_of(certificate(serial=8).public_bytes(Encoding.DER), revocations).name == "anna"


@pytest.mark.parametrize(
    "stranger", [{"issuer": "another"}, {"key": ec.generate_private_key(ec.SECP256R1())}], ids=["name", "key"]
)
def test_a_list_of_another_authority_is_refused(tmp_path, stranger):
    with pytest.raises(ConfigError, match="not signed by the client CA"):
        Revocations(crl(tmp_path / "crl.pem", 7, **stranger), certificate(common="authority"))


def test_a_list_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "crl.pem").write_text("no list")
    with pytest.raises(ConfigError, match="name a CRL in PEM"):
        Revocations(tmp_path / "crl.pem", certificate(common="authority"))


def test_a_connection_does_not_keep_a_certificate_good():
    der = certificate().public_bytes(Encoding.DER)
    assert principal_of(der, now=NOW + timedelta(hours=23)).name == "anna"
    with pytest.raises(UnnamedCertificateError, match="has expired"):
        principal_of(der, now=NOW + timedelta(hours=25))


def test_a_list_is_read_again_when_it_changed_and_a_broken_one_changes_nothing(tmp_path):
    clock = [1000.0]
    path = crl(tmp_path / "crl.pem", 7)
    revocations = Revocations(path, certificate(common="authority"), lambda: clock[0])
    assert certificate(serial=8) not in revocations
    crl(path, 7, 8)
    clock[0] += 1.0
    assert certificate(serial=8) in revocations
    path.write_text("no list any more")
    clock[0] += 1.0
    assert certificate(serial=8) in revocations
    crl(path, 7)
    clock[0] += 1.0
    assert certificate(serial=8) not in revocations
