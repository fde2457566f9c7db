from __future__ import annotations

import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from joserfc import jwk, jwt

from meshkit_fastprobe.access import Binding, Permission, Scope, SecuritySettings, TokenSettings
from meshkit_fastprobe.model import ServerSettings, Settings, TlsSettings

ISSUER = "https://issuer.example.org"


def issue(authority: trustme.CA, spiffe_id: str) -> bytes:
    """A key and a certificate with a SPIFFE id (which trustme does not make), in PEM."""
    parent = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signing_key = load_pem_private_key(authority.private_key_pem.bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a service")]))
        .issuer_name(parent.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.public_key()), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)


class World:
    """A host's certificate, an authority of clients, an issuer of tokens, and who is bound to what."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = trustme.CA()
        self.clients = trustme.CA()
        self.key = jwk.ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})
        self.jwks = self._file("jwks.json", json.dumps({"keys": [self.key.as_dict(private=False)]}).encode())
        leaf = self.authority.issue_cert("localhost", "127.0.0.1")
        self.tls = TlsSettings(
            cert=self._file("cert.pem", b"".join(blob.bytes() for blob in leaf.cert_chain_pems)),
            key=self._file("key.pem", leaf.private_key_pem.bytes()),
            client_ca=self._file("clients.pem", self.clients.cert_pem.bytes()),
        )
        self.security = SecuritySettings(
            tokens=TokenSettings(jwks_file=self.jwks, issuer=ISSUER, audience="fastprobe"),
            bindings=(
                Binding("user:anna", "operator"),
                Binding("user:bert", "viewer", scope=Scope(namespace="orders")),
                Binding("user:carl", "viewer"),
                Binding("user:carl", permissions=(Permission.PROBES_READ,), scope=Scope(probe="secret-*"), deny=True),
                Binding("user:spiffe://mesh/orders", "operator", scope=Scope(namespace="orders")),
            ),
        )

    def settings(self, **changes) -> Settings:
        return Settings(
            host="cp-1",
            cluster="eu-1",
            state_dir=str(self.directory / "state"),
            server=ServerSettings(listen="127.0.0.1:0", tls=self.tls),
            **{"security": self.security, **changes},
        )

    def token(self, name: str = "anna", key: jwk.Key | None = None, alg: str = "ES256", **claims) -> str:
        now = int(time.time())
        standard = {"iss": ISSUER, "aud": "fastprobe", "sub": name, "iat": now - 1, "exp": now + 300}
        return jwt.encode({"alg": alg, "kid": "k1"}, {**standard, **claims}, key or self.key, [alg])

    def client_context(self, spiffe_id: str = "", authority: trustme.CA | None = None) -> ssl.SSLContext:
        """What a client connects with; with an id, of a certificate that the clients' authority has issued."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if spiffe_id:
            context.load_cert_chain(self._file("client.pem", issue(authority or self.clients, spiffe_id)))
        return context

    def _file(self, name: str, content: bytes) -> str:
        path = self.directory / name
        path.write_bytes(content)
        return str(path)


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)
