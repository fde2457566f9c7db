"""`fastprobe config`: exit codes that scripts rely on, and words that people can act on."""

from __future__ import annotations

import io
import json
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from meshkit_fastprobe.cli.app import run

DATA = Path(__file__).parents[2] / "data" / "config"
GOOD = DATA / "valid-contract.toml"
BAD = DATA / "invalid-several.toml"


def _run(*arguments: object) -> str:
    """What it prints on stdout."""
    with redirect_stdout(io.StringIO()) as told, redirect_stderr(io.StringIO()):
        run(["config", *map(str, arguments)])
    return told.getvalue()


def test_check_counts_the_probes_of_a_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", str(GOOD)]) == 0
    assert capsys.readouterr().out == f"{GOOD}: 3 probes OK (1 http, 2 tcp)\n"


def test_check_says_all_that_is_wrong_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", str(BAD), str(GOOD)]) == 2
    told = capsys.readouterr()
    assert f'{BAD}:8: host.nmae: unknown key "nmae"\n  -> did you mean name?\n' in told.err
    assert f"{BAD}: 4 problems\n" in told.err
    assert "3 probes OK" in told.out


def test_check_answers_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", str(BAD), str(GOOD), "-o", "json"]) == 2
    bad, good = json.loads(capsys.readouterr().out)["items"]
    assert (bad["ok"], len(bad["errors"])) == (False, 4)
    assert (good["ok"], good["probes"], good["kinds"]) == (True, 3, {"http": 1, "tcp": 2})


def test_check_of_a_missing_file_is_a_usage_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["config", "check", str(tmp_path / "none.toml")]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["config", "chek"], ["config", "check"], ["config", "check", "--nope"], ["config"], []])
def test_mistyped_commands_are_usage_errors(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert "Usage: fastprobe" in told.out + told.err
    assert "internal error" not in told.err


def test_check_names_the_good_files_only() -> None:
    assert _run("check", BAD, GOOD, "-o", "name") == f"{GOOD}\n"


def test_schema_is_json() -> None:
    assert json.loads(_run("schema"))["title"] == "fastprobe configuration"


def test_show_prints_what_can_be_loaded_again() -> None:
    document = tomllib.loads(_run("show", GOOD))
    assert [probe["name"] for probe in document["probe"]] == ["orders", "edge:10.0.0.1:443", "edge:10.0.0.2:443"]


def test_show_answers_in_other_forms_and_picks_probes() -> None:
    assert _run("show", GOOD, "-o", "name", "--name", "edge:*").split() == ["edge:10.0.0.1:443", "edge:10.0.0.2:443"]
    assert json.loads(_run("show", GOOD, "-o", "json"))["host"]["name"] == "cp-1"
    assert "name: cp-1" in _run("show", GOOD, "-o", "yaml")


def test_show_of_a_broken_file_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", str(BAD)]) == 2
    assert "did you mean name?" in capsys.readouterr().err
