"""Reports of a host that tells its history, and not its chaos."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import LOCAL, Binding, Permission, SecuritySettings
from meshkit_fastprobe.cli.exits import Exit

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("chaos", "withheld", "code"),
    [
        (None, set(), Exit.WELL),
        (fp.ChaosSettings(), set(), Exit.WELL),
        (fp.ChaosSettings(), {Permission.CHAOS_READ}, Exit.REFUSED),
    ],
    ids=["no chaos", "no runs", "refused"],
)
async def test_chaos_that_may_not_be_read_is_told_and_is_no_success(tmp_path, chaos, withheld, code):
    bound = Binding(LOCAL, permissions=tuple(set(Permission) - withheld))
    settings = fp.Settings(
        host="cp-1",
        state_dir=str(tmp_path / "state"),
        server=fp.ServerSettings(listen="127.0.0.1:0"),
        security=SecuritySettings(local_role="", bindings=(bound,)),
        chaos=chaos,
    )
    async with fp.Diagnostics(settings) as diag:
        asked = ["--host", f"http://{diag.address}", "--token-file", str(tmp_path / "state" / "local-token"), "-o", "json"]
        command = [sys.executable, "-m", "meshkit_fastprobe", "report", "daily", *asked]
        ended = await trio.to_thread.run_sync(
            partial(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
        )
    assert ended.returncode == code, ended.stderr
    (told,) = json.loads(ended.stdout)["hosts"]
    assert "problem" not in told
    assert told["chaos"] == []
    assert ("chaosProblem" in told) is bool(withheld)
