"""A host whose audit cannot be written: nothing harmful begins, no right is widened, and everything that stops still does."""

from __future__ import annotations

import json

import msgspec
import pytest

from meshkit_fastprobe.security.audit_chain import Verdict
from meshkit_fastprobe.security.audit_store import export, verify
from tests.integration.security.bad_disk import needs_a_compiler, run_on_bad_disk

pytestmark = pytest.mark.integration

STORY = """
    import json, sys
    from pathlib import Path
    import httpx, trio
    import meshkit_fastprobe as fp
    from meshkit_fastprobe.chaos.faults.null import Null

    switch, state = Path(sys.argv[1]), sys.argv[2]
    told = {}

    async def main():
        known = tuple(fp.Experiment(id=name, fault=Null(target=name), duration_s=120.0) for name in ("one", "two"))
        settings = fp.Settings(
            host="cp-1", state_dir=state, server=fp.ServerSettings(listen="127.0.0.1:0"),
            chaos=fp.ChaosSettings(experiments=known, max_concurrent=2, max_concurrent_per_group=2),
        )
        diag = fp.Diagnostics(settings)
        diag.add(fp.TcpProbe("127.0.0.1:9"), name="db", interval=3600, timeout=1, initial_delay=3600)
        async with diag, httpx.AsyncClient(
            base_url=f"http://{diag.address}/meshkit/diagnostics/v1",
            headers={"authorization": f"Bearer {diag.local_token}"}, timeout=60,
        ) as http:

            async def ask(what, method, path, **more):
                answer = await http.request(method, path, **more)
                told[what] = [answer.status_code, answer.json().get("code", "")]
                return answer.json()

            async def toggle(what, name, value):
                await ask(what, "PUT", f"/toggles/{name}", json={"value": value}, headers={"if-match": "*"})

            async def prepared(name):
                shown = await ask(f"prepare {name}", "POST", f"/chaos/experiments/{name}:prepare")
                return {"token": shown["item"]["confirmation"]["token"]}

            for name in ("chaos.enabled", "chaos.null.enabled"):
                await toggle(name, name, True)
            await ask("activate one", "POST", "/chaos/experiments/one:activate", json=await prepared("one"))
            token = await prepared("two")

            switch.touch()
            await ask("activate two", "POST", "/chaos/experiments/two:activate", json=token)
            await toggle("widen", "probes.tcp.enabled", False)
            await toggle("widen chaos", "chaos.null.enabled", True)
            await ask("reload", "POST", "/reload")
            await ask("pause", "POST", "/probes/db:pause")
            await ask("read", "GET", "/probes")
            await ask("stop", "POST", "/chaos/experiments/one:stop", json={"reason": "enough"})
            await toggle("narrow", "chaos.enabled", False)
            await ask("halt", "POST", "/chaos:halt", json={"reason": "all of it"})
            runs = (await http.get("/chaos/runs")).json()["items"]
            told["harm"] = [run["phase"] for run in runs if run["phase"] in {"injecting", "active"}]
            told["state"] = diag.view("db").state.name
            switch.unlink()
            with trio.fail_after(60):
                while diag.endpoints.audit.late:
                    await trio.sleep(0.05)
            await toggle("afterwards", "chaos.incident", True)
        print(json.dumps(told))

    trio.run(main)
"""

REFUSED, DONE = 503, 200


@needs_a_compiler
def test_what_starts_harm_or_widens_rights_is_refused_and_what_stops_is_done_and_written_late(tmp_path):
    state = tmp_path / "state"
    ended = run_on_bad_disk(tmp_path, STORY, state)
    assert ended.returncode == 0, ended.stderr[-4000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    for what in ("activate two", "widen", "widen chaos", "reload", "pause"):
        assert told[what][0] == REFUSED, (what, told[what])
    for what in ("activate one", "read", "stop", "narrow", "halt", "afterwards"):
        assert told[what][0] == DONE, (what, told[what])
    assert told["harm"] == []
    assert told["state"] != "PAUSED"
    records = [msgspec.json.decode(line) for line in export(state / "audit")]
    late = {(record["entry"]["action"], record["entry"]["scope"]) for record in records if record["late"]}
    assert {("toggle.set", "chaos.enabled"), ("chaos.halt", "cp-1")} <= late
    assert "chaos.stop" in {action for action, _ in late}
    assert verify(state / "audit").verdict is Verdict.INTACT
