"""Whose audit is checked when nobody says whose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshkit_fastprobe.cli import app
from meshkit_fastprobe.security.audit_store import AuditStore


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTPROBE_STATE_DIR", str(tmp_path / "elsewhere"))


def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = app.run(["audit", "verify", "-o", "json"])
    return code, json.loads(capsys.readouterr().out)["audit"]


def audited(directory: Path) -> None:
    (directory / "audit").mkdir(parents=True)
    AuditStore(directory / "audit").close()


def test_the_state_beside_us_comes_before_that_of_this_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audited(tmp_path / "elsewhere")
    assert checked(capsys) == (0, str(tmp_path / "elsewhere/audit"))
    audited(tmp_path / "state")
    assert checked(capsys) == (0, "state/audit")
    assert app.run(["audit", "verify"]) == 0
    assert "records in state/audit" in capsys.readouterr().out


def test_where_none_was_found_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["audit", "verify"]) == 2
    assert f"state/audit or {tmp_path}/elsewhere/audit: there is no audit" in capsys.readouterr().err
