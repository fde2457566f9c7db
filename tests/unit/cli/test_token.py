import json
import time

import pytest
from joserfc import jwk

from meshkit_fastprobe.access import TokenSettings
from meshkit_fastprobe.cli.app import run
from meshkit_fastprobe.security.tokens import Tokens

WHO = ("--issuer", "https://issuer.test", "--audience", "fastprobe")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTPROBE_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def issue(*more, subject="anna"):
    return run(["token", "issue", "--key", "issuer.key", "--subject", subject, *WHO, "--out", "token", *more])


def inspect(capsys, *more):
    capsys.readouterr()
    code = run(["token", "inspect", "--token-file", "token", "-o", "json", *more])
    told = capsys.readouterr()
    return code, json.loads(told.out or "{}"), told.err


@pytest.fixture
def issued():
    assert issue("--new-key", "--jwks", "jwks.json", "--group", "sre", "--group", "dba") == 0


def test_a_host_takes_what_was_issued_with_its_groups(folder, issued):
    tokens = Tokens(TokenSettings(jwks_file="jwks.json", issuer="https://issuer.test", audience="fastprobe"))
    principal = tokens.principal((folder / "token").read_bytes().strip())
    assert (principal.name, principal.groups) == ("anna", ("sre", "dba"))


def test_private_files_are_for_their_owner_and_the_public_half_holds_no_secret(folder, issued):
    assert {name: (folder / name).stat().st_mode & 0o777 for name in ("issuer.key", "token", "jwks.json")} == {
        "issuer.key": 0o600,
        "token": 0o600,
        "jwks.json": 0o644,
    }
    [key] = json.loads((folder / "jwks.json").read_text())["keys"]
    assert (key["alg"], "d" in key) == ("EdDSA", False)


def test_a_second_key_joins_the_first_and_never_replaces_a_file(folder, issued, capsys):
    assert issue("--new-key", "--jwks", "jwks.json") == 2
    assert "exists already" in capsys.readouterr().err
    assert run(["token", "issue", "--key", "next.key", "--new-key", "--jwks", "jwks.json", "--subject", "b", *WHO]) == 0
    assert len(json.loads((folder / "jwks.json").read_text())["keys"]) == 2


def test_a_key_that_others_can_read_signs_nothing(folder, issued, capsys):
    (folder / "issuer.key").chmod(0o640)
    assert issue() == 2
    assert "chmod 600 issuer.key" in capsys.readouterr().err


@pytest.mark.parametrize("lifetime", ["31d", "721h", "100ms"])
def test_a_life_out_of_bounds_is_refused(issued, lifetime):
    assert issue("--for", lifetime) == 2


def test_keys_that_are_none_are_refused(folder, capsys):
    for content in ("", "[]", "-----BEGIN PRIVATE KEY-----", json.dumps(jwk.ECKey.generate_key("P-256").as_dict(private=True))):
        (folder / "issuer.key").write_text(content)
        (folder / "issuer.key").chmod(0o600)
        assert issue() == 2
        assert "--new-key" in capsys.readouterr().err


def test_inspect_says_that_a_host_would_take_it(capsys, issued):
    code, told, _ = inspect(capsys, "--jwks", "jwks.json", *WHO)
    assert (code, told["accepted"], told["reasons"], told["claims"]["sub"]) == (0, True, [], "anna")


def test_inspect_names_every_reason_at_once(capsys, issued):
    code, told, _ = inspect(capsys, "--jwks", "jwks.json", "--issuer", "https://other", "--audience", "elsewhere")
    assert (code, told["accepted"]) == (3, False)
    assert told["reasons"] == [
        "iss is 'https://issuer.test', and the host takes 'https://other'",
        "aud is 'fastprobe', and the host is 'elsewhere'",
    ]


def test_inspect_tells_an_expired_token_and_a_strange_signature(capsys, monkeypatch, folder, issued):
    later_s = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: later_s)
    code, told, _ = inspect(capsys)
    assert (code, len(told["reasons"]), told["reasons"][0].startswith("it expired 3,6")) == (3, 1, True)
    key = json.loads((folder / "jwks.json").read_text())["keys"][0]
    other = {**jwk.OKPKey.generate_key("Ed25519").as_dict(private=False), "kid": key["kid"], "alg": "EdDSA"}
    (folder / "other.json").write_text(json.dumps({"keys": [other]}))
    _, told, _ = inspect(capsys, "--jwks", "other.json", *WHO)
    assert "its signature is not by the key of other.json" in told["reasons"]


def test_inspect_knows_the_bindings_of_a_host(capsys, folder, issued):
    (folder / "host.toml").write_text(
        '[host]\nname = "cp-1"\nstate_dir = "state"\n[security.tokens]\njwks_file = "jwks.json"\n'
        'issuer = "https://issuer.test"\naudience = "fastprobe"\n'
        '[[security.binding]]\nsubject = "group:sre"\nrole = "operator"\nnamespace = "orders"\n'
    )
    code, told, _ = inspect(capsys, "--config", "host.toml")
    assert (code, told["bindings"]) == (0, ["operator, namespace=orders"])


def test_no_form_of_inspect_shows_the_token(capsys, folder, issued):
    token = (folder / "token").read_text().strip()
    for form in ("table", "json", "yaml", "name"):
        run(["token", "inspect", "--token-file", "token", "-o", form])
    told = capsys.readouterr()
    assert token.rpartition(".")[2] not in told.out + told.err
    assert token.split(".")[1] not in told.out + told.err


@pytest.mark.parametrize("content", ["", "local-token-of-a-host", "a.b.c", "é"])
def test_what_is_no_token_is_told_apart_and_not_repeated(capsys, folder, content):
    (folder / "token").write_text(content)
    code, _, told = inspect(capsys)
    assert code in {2, 3}
    assert not content or content not in told


def test_a_host_is_not_judged_for_by_halves(capsys, issued):
    code, _, told = inspect(capsys, "--issuer", "https://issuer.test")
    assert (code, "all of --jwks" in told) == (2, True)
