"""The operator's guide to identities, done as a new user would: what stands there is copied and run, word for word."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from .conftest import Host, until

pytestmark = pytest.mark.feature

GUIDE = Path(__file__).parents[2] / "docs/operating/identity.md"
PROBE = (
    '[[probe]]\nname = "{0}-db"\nnamespace = "{0}"\nkind = "tcp"\ntarget = "127.0.0.1:9"\ninterval = "1s"\ntimeout = "50ms"\n'
)
PROBES = PROBE.format("orders") + PROBE.format("pay")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)


@pytest.mark.skipif(
    shutil.which("openssl") is None or shutil.which("curl") is None, reason="needs both: apt-get install openssl curl"
)
def test_what_the_guide_says_works_as_it_stands(host: Host, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    host.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def mine(text: str) -> str:
        """Where files lie and which port is free is all that differs."""
        text = text.replace("/etc/fastprobe", str(desk)).replace("/var/lib/fastprobe", str(host.state_dir))
        return text.replace("0.0.0.0:9464", host.listen).replace("cp-1:9464", f"localhost:{host.listen.rpartition(':')[2]}")

    def run(script: str) -> str:
        ended = host.program("bash", "-ec", f"cd {desk}\n{mine(script)}")
        assert ended.returncode == 0, (script, ended.stdout, ended.stderr)
        return ended.stdout

    (desk / "fastprobe.toml").write_text(mine(blocks("toml")[0]) + PROBES)
    server, tokens, inspection, with_token, clients, with_certificate = blocks("sh")
    run(server)
    run(tokens)
    run(inspection)
    run(clients)
    run("fastprobe config check fastprobe.toml")
    process = host.start("run", str(desk / "fastprobe.toml"))
    until((host.state_dir / "local-token").exists, "the host runs")
    assert {item["name"] for item in json.loads(run(with_token))["items"]} == {"orders-db", "pay-db"}
    assert {item["name"] for item in json.loads(run(with_certificate))["items"]} == {"orders-db"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
