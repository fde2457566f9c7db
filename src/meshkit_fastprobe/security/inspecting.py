"""What a token says, and why a host would refuse it: all reasons at once, where a host names none to whoever asks."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import ClaimError, JoseError

from meshkit_fastprobe.access import TokenSettings
from meshkit_fastprobe.security.policy import Principal
from meshkit_fastprobe.security.tokens import LEEWAY_S, MAX_TOKEN_BYTES, InvalidTokenError, Tokens

NEEDED: Final = ("iss", "aud", "sub", "iat", "exp")


class Inspection(msgspec.Struct, frozen=True):
    """reasons empty: a host with these settings would take it now, from this principal."""

    header: dict[str, Any]
    claims: dict[str, Any]
    reasons: list[str]
    principal: Principal | None = None


def inspect(token: str, settings: TokenSettings | None, now_s: float) -> Inspection:
    """InvalidTokenError for what is no token at all. Without settings, only what no host at all would take is found."""
    try:
        parts = jws.extract_compact(token.encode("ascii"))
        claims = msgspec.json.decode(parts.payload, type=dict[str, Any])
        header = dict(parts.headers())
    except (JoseError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidTokenError("it is no JWT") from error
    reasons = _reasons(claims, settings, now_s)
    if len(token) > MAX_TOKEN_BYTES:
        reasons.append(f"it has {len(token):,} bytes, and at most {MAX_TOKEN_BYTES:,} are taken")
    if settings is None:
        return Inspection(header, claims, reasons)
    principal = None
    try:
        principal = Tokens(settings, lambda: now_s).principal(token.encode())
    except InvalidTokenError as error:
        # Claims are told above, with what was expected; a signature is looked at before them.
        if not (reasons and isinstance(error.__cause__, ClaimError)):
            reasons.append(_said(error, settings))
    return Inspection(header, claims, reasons, principal)


def _reasons(claims: dict[str, Any], settings: TokenSettings | None, now_s: float) -> list[str]:
    reasons = [f"{name} is missing" for name in NEEDED if name not in claims]
    if settings is not None:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if "iss" in claims and claims["iss"] != settings.issuer:
            reasons.append(f"iss is {claims['iss']!r}, and the host takes {settings.issuer!r}")
        if "aud" in claims and settings.audience not in audiences:
            reasons.append(f"aud is {audience!r}, and the host is {settings.audience!r}")
    times = {name: claims[name] for name in ("iat", "exp", "nbf") if isinstance(claims.get(name), int | float)}
    if times.get("exp", now_s) < now_s - LEEWAY_S:
        reasons.append(f"it expired {now_s - times['exp']:,.0f} s ago")
    if times.get("iat", now_s) > now_s + LEEWAY_S:
        reasons.append(f"it was issued {times['iat'] - now_s:,.0f} s in the future: somebody's clock is wrong")
    if times.get("nbf", now_s) > now_s + LEEWAY_S:
        reasons.append(f"it is good only in {times['nbf'] - now_s:,.0f} s")
    return reasons


def _said(error: InvalidTokenError, settings: TokenSettings) -> str:
    name = type(error.__cause__).__name__
    if name == "BadSignatureError":
        return f"its signature is not by the key of {settings.jwks_file}"
    return f"{error}, in {settings.jwks_file}" if error.__cause__ is None else f"{name}: {error.__cause__}"
