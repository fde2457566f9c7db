"""Schemathesis against a running host: whatever it sends, the host answers as its own OpenAPI document says."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from meshkit_fastprobe.server.routes import ROUTES

from .conftest import Host, until

pytestmark = [pytest.mark.feature, pytest.mark.once, pytest.mark.slow]

BOUND_S = 20
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_nothing_that_schemathesis_sends_makes_an_error_of_ours(host: Host, tmp_path: Path) -> None:
    config = tmp_path / "fastprobe.toml"
    probes = "".join(
        f'[[probe]]\nname = "p{number}"\nkind = "tcp"\ntarget = "127.0.0.1:9"\ninterval = "1s"\ntimeout = "50ms"\n'
        for number in range(3)
    )
    config.write_text(
        f'[host]\nname = "cp-1"\nstate_dir = "{host.state_dir}"\n\n[server]\nlisten = "{host.listen}"\n\n'
        f"[security]\nmax_rate = 100000\n\n{probes}"
    )
    process = host.start("run", str(config))
    until(lambda: host.probe("p0"), "the host answers")
    token = (host.state_dir / "local-token").read_text().strip()
    report = tmp_path / "report.json"
    settings = tmp_path / "schemathesis.toml"
    # A run that one of our limits kept from happening is 503, on a busy machine by right.
    settings.write_text('[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", "503"]\n')
    ended = host.program(
        str(Path(sys.executable).with_name("st")),
        "--config-file",
        str(settings),
        "run",
        f"http://{host.listen}/meshkit/diagnostics/v1/openapi.json",
        "--header",
        f"Authorization: Bearer {token}",
        # A stream does not end, and a switch that is off would pause what the others look at.
        "--exclude-path-regex",
        "/events$",
        "--checks",
        CHECKS,
        "--max-time",
        str(BOUND_S),
        "--max-examples",
        "60",
        "--warnings",
        "off",
        "--request-timeout",
        "60",
        "--seed",
        "1",
        "--no-color",
        "--report-json-path",
        str(report),
    )
    assert ended.returncode == 0, ended.stdout[-6000:]
    told = json.loads(report.read_text())
    assert told["operations"]["tested"] == len(ROUTES) - 2  # nor the document itself
    assert told["test_cases"]["generated"] > 100
    assert host.probe("p0")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
