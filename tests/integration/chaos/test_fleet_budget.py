"""The budget of a fleet between real hosts: one more is refused, also when two start at once and when a host is not there."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

import meshkit_fastprobe as fp
from benchmarks.shared.many_hosts import ASKER, AUDIENCE, ISSUER, one_issuer
from meshkit_fastprobe.access import Binding, Permission, Scope, SecuritySettings
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.chaos.fleet_budget import UNASKED
from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.security import issuing
from meshkit_fastprobe.server import peers
from meshkit_fastprobe.server.peers import LOCAL_TOKEN
from tests.ports import free_port

pytestmark = pytest.mark.integration
EXPERIMENTS = "/meshkit/diagnostics/v1/chaos/experiments"
PATIENCE_S = 30


def host(folder: Path, name: str, port: int, peers: tuple[str, ...], security: SecuritySettings, budget: int) -> fp.Diagnostics:
    state_dir = folder / name / str(port)
    state_dir.mkdir(parents=True)
    on = ("chaos.enabled", "chaos.null.enabled")
    toggles = {toggle: {"name": toggle, "value": True, "version": 1} for toggle in on}
    (state_dir / "toggles.json").write_text(json.dumps({"toggles": toggles}))
    diag = fp.Diagnostics(
        fp.Settings(
            host=name,
            state_dir=str(state_dir),
            server=fp.ServerSettings(listen=f"127.0.0.1:{port}", peers=peers),
            security=security,
            chaos=fp.ChaosSettings(
                experiments=tuple(
                    fp.Experiment(
                        id=team, fault=Null(target=team), duration_s=60.0, recovery_s=0.0, affects=fp.Selector(namespace=team)
                    )
                    for team in ("pay", "web")
                ),
                cooldown_s=0.0,
                healthy_floor=0.0,
                max_concurrent=10,
                max_concurrent_fleet=budget,
            ),
        )
    )
    for team in ("pay", "web"):
        diag.add(healthy, name=team, interval="60s", timeout="1s", namespace=team)
    return diag


async def healthy() -> None: ...


@asynccontextmanager
async def fleet(folder: Path, security: SecuritySettings, *names: str, budget: int = 1) -> AsyncIterator[list[fp.Diagnostics]]:
    """Hosts that know each other."""
    ports = [free_port() for _ in names]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                host(folder, name, port, tuple(url for url in urls if url != own), security, budget)
            )
            for name, port, own in zip(names, ports, urls, strict=True)
        ]


@pytest.fixture
def security(tmp_path: Path) -> SecuritySettings:
    return one_issuer(tmp_path)


@pytest.fixture
def token(tmp_path: Path, security: SecuritySettings) -> str:
    return (tmp_path / "token").read_text()


async def activated(diag: fp.Diagnostics, token: str, name: str = "pay") -> httpx.Response:
    """Prepared, confirmed, and what came of it."""
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://{diag.address}", headers=headers, timeout=PATIENCE_S) as http:
        prepared = await http.post(f"{EXPERIMENTS}/{name}:prepare")
        assert prepared.status_code == 200, prepared.text
        confirmed = {"token": prepared.json()["item"]["confirmation"]["token"]}
        return await http.post(f"{EXPERIMENTS}/{name}:activate", json=confirmed)


async def test_one_more_is_refused_until_there_is_room(tmp_path, security, token):
    async with fleet(tmp_path, security, "cp-a", "cp-b") as (first, second):
        assert (await activated(first, token)).status_code == 200
        refused = await activated(second, token)
        assert refused.status_code == 409
        assert "2 experiments would be in force in the fleet (cp-b: 1 with this one, cp-a: 1); its bound is 1" in refused.text
        run = second.chaos.current("pay")
        assert (run.phase, run.injected_at, second.chaos.live) == (Phase.REJECTED, None, ())
        await over(first)
        assert (await activated(second, token)).status_code == 200


async def test_a_larger_budget_is_shared_by_all(tmp_path, security, token):
    async with fleet(tmp_path, security, "cp-a", "cp-b", "cp-c", budget=2) as hosts:
        came = [(await activated(diag, token)).status_code for diag in hosts]
        assert came == [200, 200, 409]


async def over(diag: fp.Diagnostics) -> None:
    await diag.chaos.stop("pay", subject="user:anna")
    with trio.fail_after(PATIENCE_S):
        while diag.chaos.live:
            await trio.sleep(0.01)


async def test_of_two_that_start_at_once_no_two_are_let_in(tmp_path, security, token):
    async with fleet(tmp_path, security, "cp-a", "cp-b") as hosts:
        for _ in range(5):
            async with trio.open_nursery() as nursery:
                for diag in hosts:
                    nursery.start_soon(activated, diag, token)
            assert sum(len(diag.chaos.live) for diag in hosts) <= 1
            for diag in hosts:
                await over(diag)


async def test_who_may_see_little_counts_all_the_same(tmp_path, security, token):
    """A web operator sees no experiment of pay, and is refused for it: by name of the host, not of the experiment."""
    scoped = Binding("user:web", "chaos-operator", scope=Scope(namespace="web"))
    reads = Binding("user:web", "viewer", scope=Scope(namespace="web"))
    security = msgspec.structs.replace(security, bindings=(*security.bindings, scoped, reads))
    web = issuing.issue(
        issuing.read_key(tmp_path / "key.pem"),
        issuer=ISSUER,
        audience=AUDIENCE,
        subject="web",
        groups=(),
        groups_claim="groups",
        lifetime_s=3600.0,
        now_s=time.time(),
    )
    async with fleet(tmp_path, security, "cp-a", "cp-b") as (first, second):
        assert (await activated(first, token, "pay")).status_code == 200
        refused = await activated(second, web, "web")
        assert refused.status_code == 409
        assert "cp-a: 1" in refused.text
        assert "pay" not in refused.text
        await over(first)
        assert (await activated(second, web, "web")).status_code == 200


async def test_who_may_read_no_experiment_there_is_told_so(tmp_path, security, token):
    async with fleet(tmp_path, security, "cp-a", "cp-b") as (first, second):
        first.gate.replace(SecuritySettings(bindings=(Binding(f"user:{ASKER}", permissions=(Permission.PROBES_READ,)),)))
        refused = await activated(second, token)
        assert refused.status_code == 409
        assert f"http://{first.address} cannot be asked how many experiments are in force there" in refused.text


async def test_a_host_that_cannot_read_its_journal_counts_for_nobody(tmp_path, security, token):
    async with fleet(tmp_path, security, "cp-a", "cp-b") as (first, second):
        first.chaos.broken = "the disk is gone"
        refused = await activated(second, token)
    assert refused.status_code == 409
    assert "a journal that it can read" in refused.text


async def test_a_host_that_is_not_there_keeps_everything_from_starting(tmp_path, security, token):
    gone = f"http://127.0.0.1:{free_port()}"
    async with host(tmp_path, "cp-a", 0, (gone,), security, 1000) as diag:
        refused = await activated(diag, token)
    assert refused.status_code == 409
    assert f"{gone} cannot be asked how many experiments are in force there: connection refused" in refused.text


async def test_stopping_waits_for_no_other_host(tmp_path, security, token, monkeypatch):
    monkeypatch.setattr(peers, "ANSWER_S", 60.0)  # far beyond what a loaded machine takes
    monkeypatch.setattr(peers, "ALL_S", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with host(tmp_path, "cp-a", 0, (url,), security, 1000) as diag, trio.open_nursery() as nursery:
            nursery.start_soon(activated, diag, token)
            with trio.fail_after(PATIENCE_S):
                while not diag.chaos.live:
                    await trio.sleep(0.01)
            began = time.monotonic()
            run = await diag.chaos.stop("pay", subject="user:anna")
            assert time.monotonic() - began < 20
            assert (run.phase, run.injected_at) == (Phase.CANCELLED, None)


async def test_a_host_that_does_not_answer_is_given_up(tmp_path, security, token):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with host(tmp_path, "cp-a", 0, (url,), security, 1000) as diag:
            refused = await activated(diag, token)
    assert "no answer within 3 s" in refused.text
    assert refused.status_code == 409


async def test_who_has_no_token_to_send_on_starts_nothing(tmp_path):
    async with fleet(tmp_path, SecuritySettings(), "cp-a", "cp-b") as (first, _):
        refused = await activated(first, first.local_token)
        assert refused.status_code == 409
        assert LOCAL_TOKEN in refused.text
        prepared = await first.chaos.prepare("web", subject="local")
        with pytest.raises(ChaosRefusedError, match=UNASKED.partition(";")[0]):
            await first.chaos.activate("web", prepared.token, subject="local")


async def test_two_hosts_of_one_name_are_told_apart_by_nobody(tmp_path, security, token):
    async with fleet(tmp_path, security, "cp-a", "cp-a") as (first, _):
        refused = await activated(first, token)
    assert refused.status_code == 409
    assert "has the name of this host, cp-a" in refused.text
