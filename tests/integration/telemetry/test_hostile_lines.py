"""What a stranger sends stands in the log in some form, and never ends it."""

from __future__ import annotations

import base64
import json
import logging
import os

import httpx
import pytest
import trio
from joserfc import jwk

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import SecuritySettings, TokenSettings
from meshkit_fastprobe.cli.logs import LogForm, logging_aside

pytestmark = pytest.mark.integration

pytest.importorskip("opentelemetry.proto", reason="pip install 'meshkit-fastprobe[otel]'")

from .test_otlp import Collector  # noqa: E402 - it needs what may not be there

PROBES = "/meshkit/diagnostics/v1/probes"
log = logging.getLogger("meshkit_fastprobe.test")


def token(critical: str) -> str:
    """Signed by nobody: what is wrong with it is seen, and told, before anybody looks at that."""
    part = base64.urlsafe_b64encode(json.dumps({"alg": "EdDSA", "crit": [critical]}).encode()).decode().rstrip("=")
    return f"{part}.e30.x"


def settings(tmp_path, collector) -> fp.Settings:
    keys = tmp_path / "jwks.json"
    key = jwk.OKPKey.generate_key("Ed25519", {"kid": "k1", "alg": "EdDSA", "use": "sig"})
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return fp.Settings(
        host="cp-1",
        server=fp.ServerSettings(listen="127.0.0.1:0"),
        security=SecuritySettings(tokens=TokenSettings(jwks_file=str(keys), issuer="https://i", audience="fastprobe")),
        otlp=fp.OtlpSettings(endpoint=collector.endpoint, interval_s=1.0, metrics=False),
    )


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize("form", LogForm)
async def test_after_a_token_with_hostile_words_the_log_goes_on_in_every_form(form, tmp_path, collector):
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with logging_aside(descriptor, form=form):
        async with fp.Diagnostics(settings(tmp_path, collector)) as diag, httpx.AsyncClient(timeout=30) as client:
            for critical in ("\ud800", "x\n2026-01-01 00:00:00,000 INFO forged: line"):
                headers = {"authorization": f"Bearer {token(critical)}"}
                answer = await client.get(f"http://{diag.address}{PROBES}", headers=headers)
                assert answer.status_code == 401
            log.info("then %s", "x\ud800\ny", extra={"size": 1 << 70, "deep": ["\ud800"]})
            log.info("a line as any other")
            with trio.fail_after(20):
                while not any(line.body.string_value == "a line as any other" for line in collector.lines()):
                    await trio.sleep(0.02)
    os.close(descriptor)
    lines = path.read_text().splitlines()
    assert any("d800" in line for line in lines)
    assert sum("a bearer token was refused" in line for line in lines) == 2
    assert not [line for line in lines if "forged" in line and "a bearer token was refused" not in line]
    assert sum("a line as any other" in line for line in lines) == 1
    if form is LogForm.json:
        assert {"message", "time"} <= json.loads(lines[-1]).keys()
        assert [json.loads(line) for line in lines]
    (sent,) = [line for line in collector.lines() if line.body.string_value.startswith("then")]
    assert {one.key: one.value.string_value for one in sent.attributes}["size"] == str(1 << 70)


async def test_lines_that_no_collector_would_take_are_dropped_and_counted_and_those_behind_them_are_sent(tmp_path, collector):
    collector.status = 400
    async with fp.Diagnostics(settings(tmp_path, collector)) as diag:
        log.warning("not this one")
        with trio.fail_after(20):
            while not diag.export.use.lines_dropped:
                await trio.sleep(0.02)
        collector.status = 200
        log.warning("this one")
    sent = [line.body.string_value for line in collector.lines()]
    assert "this one" in sent
    assert "not this one" not in sent
