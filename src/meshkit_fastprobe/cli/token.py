"""`fastprobe token`: be an issuer in a small way, and see what a token says without showing it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document

Config = Annotated[
    Path | None, typer.Option("--config", help="A host's configuration: its issuer, audience, keys and bindings are used.")
]
Issuer = Annotated[str, typer.Option("--issuer", help="iss of the token.")]
Audience = Annotated[str, typer.Option("--audience", help="aud of the token.")]


def token_issue(
    key: Annotated[Path, typer.Option("--key", help="The private key, a file that only you can read.")],
    subject: Annotated[str, typer.Option("--subject", help="Who it is for: the user's name in bindings.")],
    group: Annotated[list[str] | None, typer.Option("--group", help="A group of the subject; repeatable.")] = None,
    for_: Annotated[str, typer.Option("--for", help='How long it is good, as "15m" or "8h"; at most 30 days.')] = "1h",
    issuer: Issuer = "",
    audience: Audience = "",
    config: Config = None,
    make_key: Annotated[bool, typer.Option("--new-key", help="Make the key first, and add its public half to --jwks.")] = False,
    jwks: Annotated[
        Path | None, typer.Option("--jwks", help="Where hosts find public keys; by default jwks_file of --config.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it into this file, for you alone, instead of stdout.")
    ] = None,
) -> int:
    """Sign a token with a key of your own (EdDSA): for tests, and where there is no issuer."""
    with _extra():
        from meshkit_fastprobe.security import issuing
    from meshkit_fastprobe.config.durations import parse_duration

    settings = _settings(config, jwks, issuer, audience)
    if settings is None or not (settings.issuer and settings.audience):
        raise CliError(
            "a token needs an issuer and an audience", "give --issuer and --audience, or --config with [security.tokens]"
        )
    lifetime_s = parse_duration("--for", for_)
    if make_key:
        if not settings.jwks_file:
            raise CliError("--new-key needs a place for the public half", "give --jwks FILE, the jwks_file of the hosts")
        kid = issuing.new_key(key, Path(settings.jwks_file))
        typer.echo(f"key {kid}: private in {key}, public in {settings.jwks_file}", err=True)
    told = issuing.issue(
        issuing.read_key(key),
        issuer=settings.issuer,
        audience=settings.audience,
        subject=subject,
        groups=group or (),
        groups_claim=settings.groups_claim,
        lifetime_s=lifetime_s,
        now_s=time.time(),
    )
    if out is None:
        typer.echo(told)
    else:
        _write(out, told)
    return Exit.WELL


def token_inspect(
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the token; - is stdin. Else FASTPROBE_TOKEN.")
    ] = None,
    config: Config = None,
    jwks: Annotated[Path | None, typer.Option("--jwks", help="The public keys that a host would use.")] = None,
    issuer: Annotated[str, typer.Option("--issuer", help="The issuer whose tokens it takes.")] = "",
    audience: Annotated[str, typer.Option("--audience", help="The audience that it is.")] = "",
    output: Annotated[Form, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")] = Form.table,
) -> int:
    """Show what a token says, and whether and why a host would refuse it. Exit 3 when it would. Never shows the token."""
    with _extra():
        from meshkit_fastprobe.security.inspecting import inspect
        from meshkit_fastprobe.security.tokens import InvalidTokenError

    settings = _settings(config, jwks, issuer, audience)
    if settings is not None and not (settings.issuer and settings.audience and settings.jwks_file):
        raise CliError("a host is not judged for by halves", "give --config, or all of --jwks, --issuer and --audience")
    try:
        found = inspect(_token(token_file), settings, time.time())
    except InvalidTokenError as error:
        raise CliError(str(error), "the local token of a host is none, and needs no looking at", Exit.REFUSED) from None
    verdict = None if settings is None else not found.reasons
    told: dict[str, Any] = {"header": found.header, "claims": found.claims, "reasons": found.reasons}
    told |= {} if verdict is None else {"accepted": verdict}
    if found.principal is not None and config is not None:
        told["bindings"] = _bindings(config, found.principal)
    if output in {Form.json, Form.yaml}:
        write_document(output, told)
    elif output is Form.name:
        typer.echo(found.claims.get("sub", ""))
    else:
        _show(told, settings)
    return Exit.REFUSED if found.reasons else Exit.WELL


def _show(told: dict[str, Any], settings: Any) -> None:
    from meshkit_fastprobe.cli import tables

    facts = [(name, _said(name, value)) for part in ("header", "claims") for name, value in told[part].items()]
    facts += [("may", line) for line in told.get("bindings", [])]
    console = tables.console()
    console.print(tables.facts_table(facts))
    console.print()
    if told["reasons"]:
        console.print(tables.title("refused:" if settings is not None else "refused by every host:"))
        for reason in told["reasons"]:
            console.print(f"  {reason}", markup=False)
    elif settings is None:
        console.print("nothing is wrong with it by itself; whether a host takes it: --config FILE", markup=False)
    else:
        may = told.get("bindings")
        console.print("accepted" + (", but no binding gives its subject anything" if may == [] else ""), markup=False)


def _said(name: str, value: object) -> str:
    if name in {"exp", "iat", "nbf"} and isinstance(value, int | float):
        from datetime import UTC, datetime

        from meshkit_fastprobe.cli import words

        ahead_s = value - time.time()
        when = f"in {words.age(ahead_s)}" if ahead_s > 0 else f"{words.age(-ahead_s)} ago"
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}  ({when})"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _bindings(config: Path, principal: Any) -> list[str]:
    import msgspec

    from meshkit_fastprobe.loading import load_config
    from meshkit_fastprobe.security.policy import Policy

    told = []
    for binding in Policy(load_config(config).settings.security.all_bindings()).bindings_of(principal):
        scope = {axis: glob for axis, glob in msgspec.structs.asdict(binding.scope).items() if glob != "*"}
        where = " ".join(f"{axis}={glob}" for axis, glob in scope.items()) or "everywhere"
        told.append(f"{'NOT ' if binding.deny else ''}{binding.role or ' '.join(binding.permissions)}, {where}")
    return told


def _settings(config: Path | None, jwks: Path | None, issuer: str, audience: str) -> Any:
    """What a host takes: of its configuration, and what options say instead. None when nothing was said."""
    from meshkit_fastprobe.access import TokenSettings

    named = {"jwks_file": str(jwks) if jwks else "", "issuer": issuer, "audience": audience}
    if config is None:
        return TokenSettings(**named) if any(named.values()) else None
    import msgspec

    from meshkit_fastprobe.loading import load_config

    found = load_config(config).settings.security.tokens
    if found is None:
        raise CliError(
            f"{config} has no [security.tokens]: its host takes none but the local token", "add it, or name another file"
        )
    return msgspec.structs.replace(found, **{name: value for name, value in named.items() if value})


def _token(path: Path | None) -> str:
    if path is None:
        told = os.environ.get("FASTPROBE_TOKEN", "")
    elif str(path) == "-":
        told = sys.stdin.read(1 << 16)
    else:
        try:
            told = path.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a token"
            raise CliError(f"cannot read the token file {path}: {reason}", "name another with --token-file") from None
    if not told.strip():
        raise CliError("there is no token", "give --token-file FILE, or set FASTPROBE_TOKEN")
    return told.strip()


def _write(path: Path, token: str) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as out:
            os.fchmod(out.fileno(), 0o600)  # of a file that was there, whatever it was
            out.write(f"{token}\n")
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}", "name another with --out") from None


class _extra:  # noqa: N801 - used like a function
    """Imports of what the extra `server` brings."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ModuleNotFoundError) and error.name in {"joserfc", "cryptography"}:
            from meshkit_fastprobe.errors import MissingExtraError

            raise MissingExtraError("Signing and checking tokens", "server") from None
