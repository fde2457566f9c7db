"""How a run went, as told to embedders, over HTTP and by the command line, on real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.cli import app
from meshkit_fastprobe.testing import Target, loopback

pytestmark = pytest.mark.integration
SOON: dict[str, Any] = {"interval": "1h", "timeout": "10s", "enabled": False}
PREFIX = "/meshkit/diagnostics/v1"


@pytest.fixture
def served() -> Iterator[dict[str, Target]]:
    """Targets in a thread of their own, by role."""
    wanted = {
        "web": Target("http", "healthy", body="hello"),
        "bad": Target("http", "failing"),
        "refusing": Target("tcp", "refusing"),
    }
    with loopback(*wanted.values()) as opened:
        yield dict(zip(wanted, opened, strict=True))


@asynccontextmanager
async def running(probes: dict[str, Any], **settings: Any) -> AsyncIterator[fp.Diagnostics]:
    diag = fp.Diagnostics(fp.Settings(host="h", **settings))
    for name, probe in probes.items():
        diag.add(probe, name=name, **SOON)
    async with diag:
        yield diag


async def test_an_explained_answer_has_its_phases_in_order_and_its_headers(served: dict[str, Target]) -> None:
    async with running({"a": fp.HttpProbe(f"http://{served['web'].address}/")}) as diag:
        told = await diag.explain("a")
    phases = told.phases
    assert phases.connect_s is not None
    assert phases.first_byte_s is not None
    assert phases.total_s is not None
    assert 0 < phases.connect_s <= phases.first_byte_s <= phases.total_s
    assert phases.resolve_s is None
    assert (told.result, told.status, told.body_bytes, told.connection) == (fp.Result.OK, 200, 5, "new")
    assert told.headers == (("Content-Length", "5"),)
    assert told.peer == served["web"].address
    assert told.local.startswith("127.0.0.1:")


async def test_a_name_is_looked_up_for_the_explanation(served: dict[str, Target]) -> None:
    async with running({"a": fp.TcpProbe(f"localhost:{served['web'].port}", via=fp.Via(ip="ipv4"))}) as diag:
        told = await diag.explain("a")
    assert told.addresses == ("127.0.0.1",)
    assert told.phases.resolve_s is not None
    assert told.round_trip_s == told.latency_s


async def test_an_explained_run_counts_like_any_other(served: dict[str, Target]) -> None:
    async with running({"a": fp.TcpProbe(served["web"].address)}) as diag:
        await diag.explain("a")
        assert diag.view("a").runs["ok"] == 1


async def test_failures_are_remembered_with_how_far_they_came(served: dict[str, Target]) -> None:
    probes = {
        "bad": fp.HttpProbe(f"http://{served['bad'].address}/"),
        "refusing": fp.TcpProbe(served["refusing"].address),
        "good": fp.TcpProbe(served["web"].address),
    }
    async with running(probes) as diag:
        for name in probes:
            for _ in range(10):
                await diag.run_once(name)
        bad, refused = diag.failures("bad"), diag.failures("refusing")
        assert diag.failures("good") == []
        diag.remove("refusing")
        with pytest.raises(fp.UnknownProbeError):
            diag.failures("refusing")
    assert len(bad) == len(refused) == 8
    assert {(one.status, str(one.reason)) for one in bad} == {(503, "http_status")}
    assert all(one.phases.first_byte_s is not None for one in bad)
    assert all(one.phases.connect_s is None and str(one.reason) == "connect_refused" for one in refused)
    assert [one.at for one in bad] == sorted(one.at for one in bad)


async def test_a_callable_tells_the_phases_and_facts_that_it_knows() -> None:
    async def check() -> fp.Outcome:
        await trio.lowlevel.checkpoint()
        return fp.Outcome(fp.Result.FAIL, fp.Reason.REPORTED, "bad day", phases=fp.Phases(tls_s=0.25), facts=(("alpn", "h2"),))

    async with running({"a": check}) as diag:
        told = await diag.explain("a")
        remembered = diag.failures("a")
    assert (told.message, told.phases.tls_s, told.facts) == ("bad day", 0.25, (("alpn", "h2"),))
    assert told.phases.total_s == told.latency_s
    assert [one.result for one in remembered] == [fp.Result.FAIL]


async def test_nothing_is_explained_while_nothing_runs() -> None:
    diag = fp.Diagnostics(fp.Settings(host="h"))
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="a")
    with pytest.raises(fp.NotRunningError):
        await diag.explain("a")
    with pytest.raises(fp.UnknownProbeError):
        await diag.explain("b")


async def test_our_own_limits_are_told_as_such() -> None:
    async with running({"a": fp.TcpProbe("[::1]:9", via=fp.Via(source="::2"))}) as diag:
        with pytest.raises(fp.SkippedError, match="source"):
            await diag.explain("a")


async def test_the_endpoint_explains_when_asked_to(served: dict[str, Target], tmp_path: Path) -> None:
    probes = {"a": fp.HttpProbe(f"http://{served['bad'].address}/")}
    server = fp.ServerSettings(listen="127.0.0.1:0")
    async with running(probes, server=server, state_dir=str(tmp_path)) as diag:
        headers = {"authorization": f"Bearer {diag.local_token}"}
        async with httpx.AsyncClient(
            base_url=f"http://{diag.address}{PREFIX}", headers=headers, trust_env=False, timeout=30
        ) as client:
            plain = (await client.post("/probes/a:run")).json()
            told = (await client.post("/probes/a:run", params={"explain": "true"})).json()
            refused = await client.post("/probes/a:run", params={"explain": "perhaps"})
    assert "explanation" not in plain
    assert told["explanation"]["status"] == 503
    assert told["explanation"]["reason"] == "http_status"
    assert set(told["explanation"]["phases"]) == {"connectSeconds", "firstByteSeconds", "totalSeconds"}
    assert [one["status"] for one in told["item"]["failures"]] == [503, 503]
    assert refused.status_code == 400


def test_once_explains_one_probe_of_a_file(
    served: dict[str, Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "probes.toml"
    file.write_text(f'[[probe]]\nname = "web"\nkind = "http"\ntarget = "http://{served["web"].address}/"\n')
    assert app.run(["once", str(file), "--explain", "web", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["result"], told["status"]) == ("web", "ok", 200)
    assert app.run(["once", str(file), "--explain", "web"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("PHASE", "connect", "first byte", "Content-Length", served["web"].address))
    assert app.run(["once", str(file), "--explain", "wob"]) == 2
    assert "did you mean web?" in capsys.readouterr().err


def test_every_field_of_an_explanation_is_on_the_page() -> None:
    from meshkit_fastprobe.server.reports import ExplanationItem, PhasesItem

    page = (Path(__file__).parents[2] / "docs/reference/http.md").read_text()
    fields = [field.encode_name for item in (ExplanationItem, PhasesItem) for field in msgspec.structs.fields(item)]
    assert [name for name in fields if f"`{name}`" not in page] == []
