"""Who a bearer token says its bearer is: JWTs, checked against the keys of a JWKS file.

The algorithm is the key's, never the token's choice: a key is used for the one algorithm that it is for, and a key that could
be for several (RSA) has to say. Issuer, audience, subject, expiry and time of issue have to be there and right. The file is
read again when it has changed; one that cannot be read leaves the keys as they were.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError, SecurityWarning

from meshkit_fastprobe.access import TokenSettings
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.security.policy import Principal
from meshkit_fastprobe.security.watched import WatchedFile

ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
MAX_TOKEN_BYTES: Final = 8192
MAX_FILE_BYTES: Final = 1 << 20
MAX_GROUPS: Final = 256
MAX_SUBJECT_LENGTH: Final = 2048
LEEWAY_S: Final = 30
"""Clocks of issuer and host may differ by this much."""
_ALGORITHM_OF: Final = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256"}

log = logging.getLogger("meshkit_fastprobe.security")


class InvalidTokenError(Exception):
    """The token proves nothing. The message is for our log: whoever sent it learns only that it was refused."""


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""


class Tokens:
    """Checks tokens. ConfigError when the file of keys cannot be used at the start."""

    def __init__(self, settings: TokenSettings, now_s: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._file = WatchedFile(Path(settings.jwks_file), now_s)
        self._keys = read_keys(self._file.path)
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(now_s()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    def principal(self, token: bytes) -> Principal:
        """InvalidTokenError for one that is not ours, not now, not for us, or not signed by a key we have."""
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidTokenError(f"{len(token)} bytes")
        self._look_at_file()
        try:
            claims = self._claims_of(token)
            self._claims.validate(claims)
            return Principal(_subject(claims["sub"]), _groups(claims.get(self._settings.groups_claim, ())))
        except (JoseError, ValueError, TypeError, OverflowError, RecursionError, msgspec.ValidationError) as error:
            # The last three of Python: claims of a type that nobody compares with, which only an issuer of ours could sign.
            raise InvalidTokenError(f"{type(error).__name__}: {error}") from error

    def _claims_of(self, token: bytes) -> dict[str, Any]:
        header = msgspec.convert(jws.extract_compact(token).headers(), _Header)
        algorithm, key = self._key_for(header)
        with warnings.catch_warnings():
            # RFC 9864 renames EdDSA over this curve to Ed25519, and issuers go on writing EdDSA: one key, one meaning.
            warnings.simplefilter("ignore", SecurityWarning)
            return jwt.decode(token, key, [algorithm]).claims

    def _key_for(self, header: _Header) -> tuple[str, jwk.Key]:
        found = [pair for kid, pair in self._keys if kid == header.kid or not header.kid]
        fitting = [(algorithm, key) for algorithm, key in found if algorithm == header.alg]
        if len(fitting) != 1:
            raise InvalidTokenError(f"{len(fitting)} keys for alg {header.alg!r} and kid {header.kid!r}")
        return fitting[0]

    def _look_at_file(self) -> None:
        if not self._file.is_new():
            return
        try:
            self._keys = read_keys(self._file.path)
        except ConfigError as error:
            log.error("keys not read anew, those from before go on being used: %s", error)
            return
        self._file.take()
        log.info("%d keys read from %s", len(self._keys), self._file.path)


def read_keys(path: Path) -> list[tuple[str, tuple[str, jwk.Key]]]:
    """(kid, (algorithm, public key)) of each key for signatures. ConfigError for a file that cannot be used."""
    where = "security.tokens.jwks_file"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        described = msgspec.json.decode(content[:MAX_FILE_BYTES], type=dict[str, Any])["keys"]
        keys = [_read_key(key) for key in described if key.get("use", "sig") == "sig"]
    except (OSError, KeyError, TypeError, AttributeError, ValueError, msgspec.MsgspecError, JoseError) as error:
        raise ConfigError(where, f"{path}: {error}", 'write a JWKS: {"keys": [...]}, with public keys only') from error
    if not keys:
        raise ConfigError(where, f"{path} has no key for signatures", "put the issuer's public keys in")
    return keys


def _read_key(described: dict[str, Any]) -> tuple[str, tuple[str, jwk.Key]]:
    kid, kind, curve = (str(described.get(field, "")) for field in ("kid", "kty", "crv"))
    if kind == "oct" or "d" in described:
        raise ValueError(f"key {kid!r} is secret: whoever could read this file could sign")
    algorithm = described.get("alg") or _ALGORITHM_OF.get((kind, curve))
    if algorithm not in ALGORITHMS:
        raise ValueError(f"key {kid!r} is for {algorithm!r}, not for one of {', '.join(ALGORITHMS)}; say so in its 'alg'")
    if (kind, algorithm) not in {("OKP", "EdDSA"), ("EC", "ES256"), ("RSA", "RS256")}:
        raise ValueError(f"key {kid!r} of type {kind!r} cannot be for {algorithm}")
    return kid, (algorithm, jwk.import_key(described))


def _subject(value: object) -> str:
    """It stands in logs and in the audit."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SUBJECT_LENGTH or not value.isprintable():
        raise InvalidTokenError(f"a sub that is no name of at most {MAX_SUBJECT_LENGTH} printable characters")
    return value


def _groups(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_GROUPS or not all(isinstance(group, str) for group in value):
        raise InvalidTokenError(f"groups that are no list of at most {MAX_GROUPS} names")
    return tuple(value)
