from __future__ import annotations

import base64
import hmac
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt
from joserfc.errors import SecurityWarning

from meshkit_fastprobe.access import TokenSettings
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.security.tokens import LEEWAY_S, InvalidTokenError, Tokens

NOW_S = 1_800_000_000
KEYS = {
    "EdDSA": jwk.OKPKey.generate_key("Ed25519", {"kid": "ed", "alg": "EdDSA", "use": "sig"}),
    "ES256": jwk.ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256", "use": "sig"}),
    "RS256": jwk.RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS256", "use": "sig"}),
}
CLAIMS = {"iss": "https://issuer", "aud": "fastprobe", "sub": "anna", "iat": NOW_S - 10, "exp": NOW_S + 300, "groups": ["sre"]}


def write(path: Path, *keys: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"keys": list(keys)}))
    return path


def public(algorithm: str) -> dict[str, Any]:
    return KEYS[algorithm].as_dict(private=False)


def sign(claims: dict[str, Any], algorithm: str = "EdDSA", key: jwk.Key | None = None, **header: str) -> bytes:
    key = key or KEYS[algorithm]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return jwt.encode({"alg": algorithm, "kid": str(key.kid), **header}, claims, key, [algorithm]).encode()


class Clock:
    now_s = float(NOW_S)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path, clock) -> Tokens:
    path = write(tmp_path / "jwks.json", *(public(algorithm) for algorithm in KEYS))
    return Tokens(TokenSettings(jwks_file=str(path), issuer="https://issuer", audience="fastprobe"), clock)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_names_its_principal_and_groups(tokens, algorithm):
    principal = tokens.principal(sign(CLAIMS, algorithm))
    assert (principal.name, principal.groups) == ("anna", ("sre",))


def test_several_audiences_may_hold_ours(tokens):
    assert tokens.principal(sign({**CLAIMS, "aud": ["other", "fastprobe"]})).name == "anna"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://another"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"exp": NOW_S - LEEWAY_S - 1},
        {"iat": NOW_S + LEEWAY_S + 1},
        {"nbf": NOW_S + LEEWAY_S + 1},
        {"sub": 7},
        {"groups": "sre"},
        {"groups": [7]},
        {"groups": ["x"] * 1000},
        {"exp": "tomorrow"},
        {"exp": float("nan")},
        {"exp": [NOW_S + 300]},
        {"iat": None},
        {"nbf": {}},
        {"aud": 7},
        {"aud": [["fastprobe"]]},
        {"iss": ["https://issuer"]},
        {"sub": ""},
        {"sub": ["anna"]},
        {"sub": {"name": "anna"}},
        {"sub": "anna\nINFO local may everything"},
        {"sub": "x" * 3000},
        {"groups": {"sre": 1}},
    ],
)
def test_a_claim_that_is_wrong_is_refused(tokens, change):
    with pytest.raises(InvalidTokenError):
        tokens.principal(sign({**CLAIMS, **change}))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "iat"])
def test_a_claim_that_is_missing_is_refused(tokens, claim):
    with pytest.raises(InvalidTokenError):
        tokens.principal(sign({key: value for key, value in CLAIMS.items() if key != claim}))


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", ""])
def test_a_token_cannot_choose_to_be_unsigned(tokens, alg):
    head, body = b64(json.dumps({"alg": alg, "kid": "ed"}).encode()), b64(json.dumps(CLAIMS).encode())
    for signature in (b"", b64(b"x" * 64)):
        with pytest.raises(InvalidTokenError):
            tokens.principal(head + b"." + body + b"." + signature)


def test_a_public_key_is_no_shared_secret(tokens):
    head, body = b64(b'{"alg": "HS256", "kid": "rsa"}'), b64(json.dumps(CLAIMS).encode())
    mac = hmac.digest(KEYS["RS256"].as_pem(private=False), head + b"." + body, "sha256")
    with pytest.raises(InvalidTokenError, match="0 keys for alg 'HS256'"):
        tokens.principal(head + b"." + body + b"." + b64(mac))


def test_a_key_is_for_its_own_algorithm_alone(tokens):
    rsa = jwk.RSAKey.import_key(KEYS["RS256"].as_dict(private=True) | {"alg": "RS384"})
    with pytest.raises(InvalidTokenError):
        tokens.principal(jwt.encode({"alg": "RS384", "kid": "rsa"}, CLAIMS, rsa, ["RS384"]).encode())


def test_a_stranger_of_the_same_name_is_refused(tokens):
    stranger = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed", "alg": "EdDSA"})
    with pytest.raises(InvalidTokenError):
        tokens.principal(sign(CLAIMS, "EdDSA", stranger))


def test_every_changed_byte_is_found(tokens):
    token = sign(CLAIMS)
    for at in range(0, len(token), 7):
        changed = bytearray(token)
        changed[at] = ord("A") if changed[at] != ord("A") else ord("B")
        with pytest.raises(InvalidTokenError):
            tokens.principal(bytes(changed))


@given(st.binary(max_size=200) | st.lists(st.binary(max_size=60).map(b64), min_size=3, max_size=3).map(b".".join))
def test_anything_else_is_refused_and_nothing_worse(token):
    tokens = Tokens.__new__(Tokens)
    tokens.__dict__.update(_KEPT.__dict__)
    with pytest.raises(InvalidTokenError):
        tokens.principal(token)


@pytest.fixture(autouse=True, scope="module")
def _keep(tmp_path_factory):
    global _KEPT  # noqa: PLW0603 - hypothesis takes no fixtures of one test
    path = write(tmp_path_factory.mktemp("keys") / "jwks.json", public("EdDSA"))
    _KEPT = Tokens(TokenSettings(jwks_file=str(path), issuer="https://issuer", audience="fastprobe"))


def test_a_token_of_many_kilobytes_is_not_looked_at(tokens):
    with pytest.raises(InvalidTokenError, match="bytes"):
        tokens.principal(sign({**CLAIMS, "filler": "x" * 10_000}))


def test_a_changed_file_changes_the_keys_and_a_broken_one_does_not(tokens, clock, tmp_path):
    fresh = jwk.OKPKey.generate_key("Ed25519", {"kid": "new", "alg": "EdDSA"})
    (tmp_path / "jwks.json").write_text("half a fi")
    clock.now_s += 2
    assert tokens.principal(sign(CLAIMS)).name == "anna"
    write(tmp_path / "jwks.json", fresh.as_dict(private=False))
    clock.now_s += 2
    assert tokens.principal(sign(CLAIMS, "EdDSA", fresh)).name == "anna"
    with pytest.raises(InvalidTokenError):
        tokens.principal(sign(CLAIMS))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "write a JWKS"),
        ("[]", "write a JWKS"),
        ('{"keys": [7]}', "write a JWKS"),
        ('{"keys": []}', "no key for signatures"),
        (json.dumps({"keys": [KEYS["EdDSA"].as_dict(private=True)]}), "is secret"),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}), "is secret"),
        (json.dumps({"keys": [{**public("RS256"), "alg": "ES256"}]}), "cannot be for"),
        (json.dumps({"keys": [{key: value for key, value in public("RS256").items() if key != "alg"}]}), "say so in its 'alg'"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_says_why(tmp_path, content, said):
    path = tmp_path / "jwks.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=said):
        Tokens(TokenSettings(jwks_file=str(path), issuer="i", audience="a"))
