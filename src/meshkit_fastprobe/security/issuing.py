"""Being an issuer of tokens, for tests and for installations too small for one: an Ed25519 key, its JWKS file, and JWTs."""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc import jwk, jwt
from joserfc.errors import JoseError, SecurityWarning

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.security.tokens import MAX_FILE_BYTES

ALGORITHM: Final = "EdDSA"
MAX_LIFETIME_S: Final = 30 * 86400.0
"""A token cannot be taken back but with its key: one that lives longer is a password."""


def new_key(private_file: Path, jwks_file: Path) -> str:
    """Make a key: its private half for its owner alone, its public half added to a JWKS file. Returns the id of the key."""
    key = jwk.OKPKey.generate_key("Ed25519")
    kid = key.thumbprint()[:16]
    parameters = {"kid": kid, "alg": ALGORITHM, "use": "sig"}
    public = {**key.as_dict(private=False), **parameters}
    described = _keys_in(jwks_file)
    try:
        file = os.open(private_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(msgspec.json.encode({**key.as_dict(private=True), **parameters}) + b"\n")
        _replace(
            jwks_file, msgspec.json.format(msgspec.json.encode({**described, "keys": [*described["keys"], public]}), indent=2)
        )
    except FileExistsError:
        raise ConfigError("--key", f"{private_file} exists already", "leave --new-key out to sign with it") from None
    except OSError as error:
        raise ConfigError("--new-key", f"{error.filename}: {error.strerror}", "name files that can be written") from None
    return kid


def read_key(private_file: Path) -> jwk.OKPKey:
    """ConfigError for a file that others may read, or that holds no Ed25519 key with its private half."""
    where = "--key"
    try:
        with private_file.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            described = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no JWK"
        raise ConfigError(where, f"{private_file}: {reason}", "make one with --new-key") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(where, f"{private_file} is open to others: whoever reads it can sign", f"chmod 600 {private_file}")
    if (described.get("kty"), described.get("crv")) != ("OKP", "Ed25519") or "d" not in described:
        raise ConfigError(where, f"{private_file} is no private Ed25519 key", "make one with --new-key")
    try:
        return jwk.OKPKey.import_key(described)
    except (JoseError, ValueError) as error:
        raise ConfigError(where, f"{private_file}: {type(error).__name__}", "make one with --new-key") from None


def issue(
    key: jwk.OKPKey,
    *,
    issuer: str,
    audience: str,
    subject: str,
    groups: Sequence[str] = (),
    groups_claim: str = "groups",
    lifetime_s: float,
    now_s: float,
) -> str:
    """A signed token, good from now on. ConfigError for a life of less than a second or more than MAX_LIFETIME_S."""
    if not 1 <= lifetime_s <= MAX_LIFETIME_S:
        raise ConfigError(
            "--for", f"{lifetime_s:g} s is not in 1 s to {MAX_LIFETIME_S / 86400:.0f} days", "choose a time between"
        )
    now = int(now_s)
    claims: dict[str, Any] = {"iss": issuer, "aud": audience, "sub": subject, "iat": now, "exp": now + int(lifetime_s)}
    if groups:
        claims[groups_claim] = list(groups)
    header = {"alg": ALGORITHM, "typ": "JWT", **({"kid": key.kid} if key.kid else {})}
    with warnings.catch_warnings():
        # RFC 9864 renames EdDSA over this curve to Ed25519, which verifiers do not all know yet.
        warnings.simplefilter("ignore", SecurityWarning)
        return jwt.encode(header, claims, key, [ALGORITHM])


def _keys_in(jwks_file: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(jwks_file.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {"keys": []}
    except (OSError, msgspec.MsgspecError):
        found = {}
    if not isinstance(found.get("keys"), list):
        raise ConfigError("--jwks", f"{jwks_file} is no JWKS", "name another file, or move this one away")
    return found


def _replace(path: Path, content: bytes) -> None:
    """Hosts that read it see the old file or the new one. Public keys are for everybody."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".jwks-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content + b"\n")
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
